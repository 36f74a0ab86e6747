defmodule DemoTest do
  use ExUnit.Case, async: false

  defmodule Repo do
  end

  setup do
    name = "ecto_litefs_mix_#{System.pid()}_#{System.unique_integer([:positive])}"
    directory = Path.join(System.tmp_dir!(), name)
    File.mkdir_p!(directory)
    on_exit(fn -> File.rm_rf!(directory) end)
    {:ok, primary_file: Path.join(directory, ".primary")}
  end

  test "Mix built the native part, and it is the one of this build" do
    assert :ecto_litefs_nif.available()
    assert File.exists?(Application.app_dir(:ecto_litefs, "priv/ecto_litefs_nif.so"))
  end

  test "the application starts without the Hex packages" do
    started = for {app, _, _} <- Application.started_applications(), do: app
    assert :ecto_litefs in started
    refute Enum.any?([:ecto_sql, :ecto_middleware, :telemetry], &(&1 in started))
  end

  test "a directory without LiteFS is local", %{primary_file: file} do
    supervise(file)
    assert EctoLiteFS.tracker_ready?(Repo)
    assert EctoLiteFS.is_primary?(Repo)
    assert EctoLiteFS.get_primary(Repo) == {:ok, node()}
  end

  test "the primary file makes a replica of it", %{primary_file: file} do
    supervise(file)
    File.write!(file, "another-host\n")
    eventually(fn -> not EctoLiteFS.is_primary?(Repo) end)
    refute EctoLiteFS.get_primary(Repo) == {:ok, node()}
    File.rm!(file)
    eventually(fn -> EctoLiteFS.is_primary?(Repo) end)
    assert EctoLiteFS.get_primary(Repo) == {:ok, node()}
  end

  test "without its supervisor a Repo is not primary any more", %{primary_file: file} do
    supervise(file)
    assert EctoLiteFS.is_primary?(Repo)
    :ok = stop_supervised(EctoLiteFS.Supervisor.child_spec(repo: Repo).id)
    eventually(fn -> not EctoLiteFS.is_primary?(Repo) end)
    assert EctoLiteFS.get_primary(Repo) == {:error, :not_ready}
  end

  test "the configuration is a struct", %{primary_file: file} do
    config = %EctoLiteFS.Config{repo: Repo, primary_file: file}
    assert config == EctoLiteFS.Config.new!(repo: Repo, primary_file: file)
    assert_raise ArgumentError, ~r/repo/, fn -> EctoLiteFS.Config.new!([]) end
  end

  defp supervise(file) do
    start_supervised!(
      {EctoLiteFS.Supervisor, repo: Repo, primary_file: file, event_stream_url: nil}
    )
  end

  # The file's change arrives through inotify: soon, not at once.
  defp eventually(condition, left \\ 1000) do
    cond do
      condition.() -> :ok
      left == 0 -> flunk("the condition did not come true within five seconds")
      true -> Process.sleep(5) && eventually(condition, left - 1)
    end
  end
end
