defmodule RealEcto.Contract.Here do
  @moduledoc "The part of a contract case that runs on one of its nodes."
  import Ecto.Query, only: [from: 2]
  alias RealEcto.{Item, Trace}
  alias __MODULE__.{Count, CountAll, Rename}

  @doc "As if no case had run before."
  def reset(repo) do
    clear(repo)
    Application.delete_env(:real_ecto, :middleware)
    Trace.taken()
    :ok
  end

  # In SQL: what these do is no subject of any middleware.
  def clear(repo), do: repo.query!("DELETE FROM items")

  def seed(repo, name) do
    repo.query!(
      "INSERT INTO items (id, name, value, lock_version) VALUES (?, ?, 0, 1)",
      [
        :erlang.phash2(name),
        name
      ]
    )
  end

  def rows(repo) do
    Enum.map(
      repo.query!("SELECT name, value FROM items ORDER BY name").rows,
      &List.to_tuple/1
    )
  end

  def count, do: Enum.count(Trace.taken(), &(&1 == :counted))

  def middleware(list) do
    modules = %{
      us: EctoLiteFS.Middleware,
      count: Count,
      count_all: CountAll,
      rename: Rename
    }

    Application.put_env(
      :real_ecto,
      :middleware,
      Enum.map(list, &Map.fetch!(modules, &1))
    )
  end

  def resource(_repo, {:new, params}), do: Item.changeset(params)
  def resource(_repo, {:struct, fields}), do: struct!(Item, fields)
  def resource(_repo, :table), do: Item
  def resource(_repo, {:rows, rows}), do: {Item, [rows]}
  def resource(_repo, {:named, name}), do: {named(name), []}

  def resource(_repo, {:named, name, set}),
    do: {named(name), [[set: Map.to_list(set)]]}

  def resource(repo, {kind, name, params}) when kind in [:stored, :gone] do
    Item.changeset(repo.get_by!(Item, name: name), params)
  end

  def resource(repo, {kind, name})
      when kind in [:stored_struct, :gone_struct] do
    repo.get_by!(Item, name: name)
  end

  defp named(name), do: from(i in Item, where: i.name == ^name)

  @doc "Makes the call; answers its result and what is left in the mailbox."
  def call(%{repo: repo, action: action} = ask, resource, modifiers) do
    {resource, more} = if is_tuple(resource), do: resource, else: {resource, []}
    resource = Enum.reduce(modifiers, resource, &modify/2)
    options = for {:options, options} <- modifiers, do: options
    call = fn -> apply(repo, action, [resource | more ++ options]) end

    got =
      outcome(
        if ask.in_transaction, do: fn -> inside(repo, call) end, else: call
      )

    {:messages, mailbox} = Process.info(self(), :messages)
    {got, mailbox}
  end

  defp inside(repo, call) do
    {:ok, result} = repo.transaction(call)
    result
  end

  defp outcome(call) do
    {:gave, call.()}
  catch
    kind, reason -> {kind, reason}
  end

  defp modify(:unique, changeset), do: Item.unique(changeset)

  defp modify(:select, query), do: from(i in query, select: i)

  defp modify({:hook, hook}, changeset),
    do: Ecto.Changeset.prepare_changes(changeset, &hook(&1, hook))

  defp modify(_, resource), do: resource

  defp hook(_changeset, :raise), do: raise(ArgumentError, "from the hook")
  defp hook(_changeset, :exit), do: exit({:from, :hook})
  defp hook(_changeset, :throw), do: throw({:from, :hook})

  defp hook(changeset, {:insert, name}) do
    changeset.repo.insert!(%Item{name: name})
    changeset
  end

  # Nobody may wait for its end by a message: the process is not ours.
  defp hook(changeset, :hang) do
    Trace.note({:hangs, self()})
    Process.sleep(2_000)
    changeset
  end

  @doc "Waits until the process that ran `hang` is no more."
  def await_hook do
    for {:hangs, pid} <- Trace.taken() do
      ref = Process.monitor(pid)

      receive do
        {:DOWN, ^ref, _, _, _} -> :ok
      after
        10_000 -> raise "the process that ran the hook is still there"
      end
    end
  end

  defmodule Count do
    use EctoMiddleware

    @impl EctoMiddleware
    def process_before(resource, _resolution) do
      Trace.note(:counted)
      {:cont, resource}
    end
  end

  defmodule CountAll do
    use EctoMiddleware, bulk_operations: true

    @impl EctoMiddleware
    def process_before(resource, _resolution) do
      Trace.note(:counted)
      {:cont, resource}
    end
  end

  defmodule Rename do
    use EctoMiddleware

    @impl EctoMiddleware
    def process_before(changeset, _resolution) do
      Trace.note(:counted)
      name = Ecto.Changeset.get_field(changeset, :name)
      {:cont, Ecto.Changeset.put_change(changeset, :name, name <> "!")}
    end
  end
end
