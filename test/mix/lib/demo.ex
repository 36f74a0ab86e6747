defmodule Demo.Repo do
  @moduledoc "All that is needed of a Repo where nothing is written: a name."
end

defmodule Demo.Application do
  @moduledoc "A user's application: EctoLiteFS.Supervisor as a child of its own."
  use Application

  @impl true
  def start(_type, _args) do
    file = Path.join(System.get_env("DEMO_DIRECTORY", "/litefs"), ".primary")

    children = [
      {EctoLiteFS.Supervisor, repo: Demo.Repo, primary_file: file, event_stream_url: nil}
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Demo.Supervisor)
  end
end

defmodule Demo do
  @moduledoc "What test/mix/run asks a release."

  @doc "One line for each fact."
  def report do
    {:ok, _} = Application.ensure_all_started(:demo)
    IO.puts("available=#{:ecto_litefs_nif.available()}")
    IO.puts("reason=#{:ecto_litefs_nif.unavailable_reason()}")
    IO.puts("library=#{:code.priv_dir(:ecto_litefs)}")
    IO.puts("role=#{:ecto_litefs_status.role(Demo.Repo)}")
    IO.puts("primary?=#{EctoLiteFS.is_primary?(Demo.Repo)}")
    IO.puts("port=#{inspect(port())}")
  end

  # Through the port program, on a database without a table.
  defp port do
    path = Path.join(System.get_env("DEMO_DIRECTORY"), "db")
    File.touch!(path)
    config = Map.merge(:ecto_litefs_config.defaults(), %{repo: Demo.Port, database: path})
    {:ok, _pid} = :ecto_litefs_port.start_link(config)
    :ecto_litefs_port.read_row(Demo.Port, 10_000)
  end
end
