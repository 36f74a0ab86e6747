defmodule RealEcto.Trace do
  @moduledoc "What ran on this node, in order; see `taken/0`."
  use Agent

  def start_link(_), do: Agent.start_link(fn -> [] end, name: __MODULE__)

  def note(what), do: Agent.update(__MODULE__, &[what | &1])

  @doc "Everything noted since the last call, the oldest first."
  def taken, do: Agent.get_and_update(__MODULE__, &{Enum.reverse(&1), []})

  defmodule Outer do
    use EctoMiddleware

    @impl EctoMiddleware
    def process(resource, resolution) do
      RealEcto.Trace.note({:outer, :before, resolution.action})
      {result, resolution} = EctoMiddleware.Engine.yield(resource, resolution)
      RealEcto.Trace.note({:outer, :after, resolution.action})
      {:cont, result, resolution}
    end
  end

  defmodule Inner do
    use EctoMiddleware

    @impl EctoMiddleware
    def process_before(resource, resolution) do
      RealEcto.Trace.note({:inner, :before, resolution.action})
      {:cont, resource}
    end

    @impl EctoMiddleware
    def process_after(result, resolution) do
      RealEcto.Trace.note({:inner, :after, resolution.action})
      {:cont, result}
    end
  end
end
