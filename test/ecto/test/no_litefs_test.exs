defmodule RealEcto.NoLitefsTest do
  @moduledoc "Development and test: the quick start of the README, no LiteFS."
  use ExUnit.Case, async: false
  import ExUnit.CaptureLog
  alias Ecto.Adapters.SQL.Sandbox
  alias RealEcto.{Cluster, Item, Migration, Repo}

  setup context do
    dir = Cluster.directory("no litefs #{context.line}")
    config = [database: Path.join(dir, "dev.db"), pool_size: 2, log: false]
    {:ok, dir: dir, config: config}
  end

  # The children of the README's quick start; its default events URL too, where
  # nobody answers.
  defp start(c, more \\ []) do
    config = Keyword.merge(c.config, more)
    Application.put_env(:real_ecto, Repo, config)

    {:ok, pid} =
      Supervisor.start_link(
        [
          Repo,
          {EctoLiteFS.Supervisor,
           repo: Repo,
           primary_file: Path.join(c.dir, ".primary"),
           poll_interval: 30_000}
        ],
        strategy: :one_for_one
      )

    on_exit(fn -> Process.exit(pid, :shutdown) end)
    pid
  end

  defp migrate, do: :ok = Ecto.Migrator.up(Repo, 1, Migration, log: false)

  test "the quick start works, and everything is local", c do
    start(c)
    migrate()
    assert %Item{id: id} = Repo.insert!(%Item{name: "Alice"})
    assert [%Item{id: ^id}] = Repo.all(Item)

    assert {:ok, _} =
             Repo.transaction(fn -> Repo.insert!(%Item{name: "Bob"}) end)

    assert {:ok, _} =
             Repo.update(Item.changeset(Repo.get!(Item, id), %{value: 3}))

    assert {:ok, _} = Repo.delete(Repo.get!(Item, id))
    assert {2, _} = Repo.insert_all(Item, [[name: "c"], [name: "d"]])
    assert [%Item{}, %Item{}, %Item{}] = Repo.all(Item)
    assert EctoLiteFS.tracker_ready?(Repo)
  end

  test "nothing of ours is in the database", c do
    start(c)
    before = tables()
    assert before == []
    migrate()
    Repo.insert!(%Item{name: "Alice"})
    assert Enum.sort(tables()) == ["items", "parts", "schema_migrations"]
  end

  test "the file is untouched by our supervisor alone", c do
    start_supervised!(
      {EctoLiteFS.Supervisor,
       repo: Repo, primary_file: Path.join(c.dir, ".primary")}
    )

    assert EctoLiteFS.tracker_ready?(Repo)
    assert File.ls!(c.dir) == []
  end

  test "one line in the log at most, and no restart", c do
    log =
      capture_log(fn ->
        supervisor = start(c)
        migrate()
        before = pids(supervisor)
        # several reconnects of the event stream are due in this time
        Process.sleep(1_500)
        Repo.insert!(%Item{name: "Alice"})
        assert pids(supervisor) == before
      end)

    ours = log |> String.split("\n") |> Enum.filter(&(&1 =~ ~r/litefs/i))
    assert length(ours) <= 1, log
  end

  test "the SQL sandbox works as without us", c do
    start(c, pool: Sandbox)
    migrate()
    Sandbox.mode(Repo, :manual)

    assert_raise DBConnection.OwnershipError, fn ->
      Repo.insert(%Item{name: "nobody's"})
    end

    :ok = Sandbox.checkout(Repo)
    assert {:ok, _} = Repo.insert(%Item{name: "mine"})

    assert {:ok, _} =
             Repo.transaction(fn -> Repo.insert!(%Item{name: "mine too"}) end)

    # as a test lets a process of its own in
    owner = self()

    task =
      Task.async(fn ->
        Sandbox.allow(Repo, owner, self())
        Repo.insert!(%Item{name: "my task's"})
      end)

    assert %Item{} = Task.await(task)
    assert length(Repo.all(Item)) == 3
    :ok = Sandbox.checkin(Repo)

    :ok = Sandbox.checkout(Repo)
    assert Repo.all(Item) == []
    :ok = Sandbox.checkin(Repo)
  end

  defp tables do
    List.flatten(
      Repo.query!(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
      ).rows
    )
  end

  defp pids(supervisor) do
    supervisor
    |> Supervisor.which_children()
    |> Enum.flat_map(fn
      {_, pid, :supervisor, _} -> [pid | pids(pid)]
      {_, pid, _, _} -> [pid]
    end)
  end
end
