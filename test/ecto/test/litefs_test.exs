defmodule RealEcto.LiteFSTest do
  @moduledoc "The real Ecto on the real LiteFS."
  use ExUnit.Case, async: false
  import RealEcto.Cluster, only: [on: 4]
  alias RealEcto.{BareRepo, Cluster, FullRepo, Item, LiteFS, On, Repo, Work}

  @moduletag :litefs
  @pool_size 5

  setup context do
    dir = Cluster.directory("litefs #{context.line}")
    {:ok, dir: dir, primary: LiteFS.new("primary", dir)}
  end

  test "a replica's writes are forwarded and come back replicated", c do
    replica = LiteFS.new("replica", c.dir, c.primary)
    ports = Enum.map([c.primary, replica], &LiteFS.start/1)

    one = start(:primary, c.dir, c.primary, :required)
    await_role(one, :primary)
    Cluster.migrate(one, Repo)
    two = start(:replica, c.dir, replica, :required)
    Cluster.connect(two, one)
    await_role(two, :replica)

    assert %Item{id: id, written_on: where} =
             on(two, Repo, :insert!, [Item.changeset(%{name: "far"})])

    assert where == "#{one.node}"

    Cluster.wait("the row is replicated", fn ->
      on(two, Repo, :get, [Item, id]) != nil
    end)

    # what LiteFS itself says to a write on a replica
    assert {:gave, {:error, %Exqlite.Error{} = refused}} =
             on(two, On, :outcome, [Repo, :query, ["DELETE FROM items"]])

    assert :ecto_litefs_refusal.proof(refused) != :none
    for member <- [two, one], do: Cluster.stop(member)
    Enum.each(ports, &LiteFS.stop/1)
  end

  test "what a replica has written is there when the call returns", c do
    replica = LiteFS.new("replica", c.dir, c.primary)
    ports = Enum.map([c.primary, replica], &LiteFS.start/1)
    one = start(:primary, c.dir, c.primary, :required)
    await_role(one, :primary, FullRepo)
    Cluster.migrate(one, Repo)
    two = start(:replica, c.dir, replica, :required)
    Cluster.connect(two, one)
    await_role(two, :replica, FullRepo)

    for n <- 1..50 do
      changeset = Item.changeset(%{name: "own #{n}"})
      %Item{id: id} = on(two, FullRepo, :insert!, [changeset])
      assert %Item{} = on(two, FullRepo, :get, [Item, id])
      rows = [%{name: "all #{n}"}]
      assert {1, nil} = on(two, FullRepo, :insert_all, [Item, rows])
      assert on(two, FullRepo, :aggregate, [Item, :count]) == 2 * n
    end

    # from the primary to the replica, as a cookie takes it
    {%Item{id: id}, %EctoLiteFS.Position{} = position} =
      on(one, On, :with_position, [FullRepo, "local"])

    text = EctoLiteFS.Position.to_string(position)
    assert {:ok, ^position} = EctoLiteFS.Position.from_string(text)
    assert on(two, EctoLiteFS, :await, [FullRepo, position, 5_000]) == :ok
    assert %Item{name: "local"} = on(two, FullRepo, :get, [Item, id])

    assert {:ok, %{role: :replica, degraded: false, position: %{txid: txid}}} =
             on(two, EctoLiteFS, :status, [FullRepo])

    assert txid >= position.txid
    for member <- [two, one], do: Cluster.stop(member)
    Enum.each(ports, &LiteFS.stop/1)
  end

  test "a Repo that was opened before the mount writes nothing under it", c do
    one = start(:primary, c.dir, c.primary, :auto)
    Cluster.migrate(one, Repo)
    # every connection of the pool gets a handle of the hidden file
    for n <- 1..(2 * @pool_size),
        do: on(one, Repo, :insert!, [%Item{name: "hidden #{n}"}])

    port = LiteFS.start(c.primary)
    await_role(one, :primary)
    Cluster.migrate(one, Repo)

    for n <- 1..(2 * @pool_size),
        do: on(one, Repo, :insert!, [%Item{name: "seen #{n}"}])

    assert on(one, Repo, :aggregate, [Item, :count]) == 2 * @pool_size

    Cluster.stop(one)
    LiteFS.stop(port)
    assert Enum.reject(names(c.primary), &(&1 =~ "hidden")) == []
  end

  test "a pool without a free connection does not keep the detector", c do
    one = start(:primary, c.dir, c.primary, :auto)
    Cluster.migrate(one, Repo)
    holders = on(one, On, :hold, [Repo, @pool_size])
    port = LiteFS.start(c.primary)
    await_role(one, :unknown)

    Cluster.wait("the pool is to be renewed", fn ->
      %{reconnect: reconnect} = on(one, :ecto_litefs_status, :snapshot, [Repo])
      reconnect != false
    end)

    # it answers at once, long before a checkout gives up
    {time, answer} =
      :timer.tc(fn -> on(one, EctoLiteFS, :set_replica, [Repo]) end)

    assert answer == {:error, :managed_by_litefs}
    assert time < 500_000
    for holder <- holders, do: send(holder, :go_on)
    await_role(one, :primary)
    Cluster.stop(one)
    LiteFS.stop(port)
  end

  test "LiteFS restarted under the Repo: the next write is where all see it",
       c do
    port = LiteFS.start(c.primary)
    one = start(:primary, c.dir, c.primary, :required)
    await_role(one, :primary)
    Cluster.migrate(one, Repo)

    for n <- 1..(2 * @pool_size),
        do: on(one, Repo, :insert!, [%Item{name: "before #{n}"}])

    LiteFS.stop(port)
    await_role(one, :unknown)

    assert {:gave, {:error, :primary_unavailable}} =
             on(one, On, :outcome, [Repo, :insert, [%Item{name: "down"}]])

    port = LiteFS.start(c.primary)
    await_role(one, :primary)

    for n <- 1..(2 * @pool_size),
        do: on(one, Repo, :insert!, [%Item{name: "after #{n}"}])

    Cluster.stop(one)

    # as another process sees it, with a handle of its own
    names = names(c.primary)
    assert length(names) == 4 * @pool_size
    refute "down" in names
    LiteFS.stop(port)
  end

  # What LiteFS refuses, it refuses in another way in each mode.
  for mode <- [:wal, :delete] do
    test "in mode #{mode} transactions and SQL run whole on the primary", c do
      replica = LiteFS.new("replica", c.dir, c.primary)
      ports = Enum.map([c.primary, replica], &LiteFS.start/1)
      one = start(:primary, c.dir, c.primary, :required, unquote(mode))
      for repo <- [Repo, FullRepo], do: await_role(one, :primary, repo)
      Cluster.migrate(one, Repo)
      two = start(:replica, c.dir, replica, :required, unquote(mode))
      Cluster.connect(two, one)
      await_role(two, :replica, FullRepo)

      work = fn name, what ->
        on(two, On, :outcome, [Work, :run, [FullRepo, name, what]])
      end

      query = fn sql, params ->
        on(two, On, :outcome, [FullRepo, :query, [sql, params]])
      end

      assert {:gave, {:ok, item}} = work.("fun", :insert)
      assert item.written_on == "#{one.node}"
      assert {:gave, {:ok, %{all: [_, _]}}} = work.("multi", :multi)
      assert {:gave, {:error, :changed_my_mind}} = work.("back", :rolls_back)

      assert {:gave, {:error, :again, _, %{first: _}}} =
               work.("failed", :multi_fails)

      insert = "INSERT INTO items (name) VALUES (?) RETURNING name"
      assert {:gave, {:ok, %{rows: [["sql"]]}}} = query.(insert, ["sql"])
      assert {:gave, {:ok, %{rows: [[1]]}}} = query.("SELECT 1", [])
      assert {:gave, {:ok, _}} = query.("CREATE TABLE made (a)", [])

      for what <- [:reads_and_writes, :reads_and_writes_sql] do
        assert {:raised, %EctoLiteFS.Error{reason: :in_transaction}, _} =
                 work.("refused", what)
      end

      expected = ["fun", "multi", "multi two", "sql"]

      for member <- [one, two] do
        Cluster.wait("#{member.node} has the rows, and no other", fn ->
          Enum.sort(Enum.map(on(member, FullRepo, :all, [Item]), & &1.name)) ==
            expected
        end)
      end

      for member <- [two, one], do: Cluster.stop(member)
      Enum.each(ports, &LiteFS.stop/1)
    end
  end

  # A node that was demoted a moment ago: nothing stops the write but LiteFS.
  for mode <- [:wal, :delete] do
    test "in mode #{mode} every refusal of LiteFS is told by its text", c do
      replica = LiteFS.new("replica", c.dir, c.primary)
      ports = Enum.map([c.primary, replica], &LiteFS.start/1)
      one = start(:primary, c.dir, c.primary, :required, unquote(mode))
      await_role(one, :primary)
      Cluster.migrate(one, Repo)
      two = start(:replica, c.dir, replica, :required, unquote(mode))

      migrated = fn ->
        match?({:gave, _}, on(two, On, :outcome, [BareRepo, :all, [Item]]))
      end

      Cluster.wait("the tables are replicated", migrated)

      item = Item.changeset(%{name: "refused", parts: [%{label: "refused"}]})

      for changeset <- [item, Item.with_parts(item), Item.counted(item)] do
        assert {:raised, error, _} =
                 on(two, On, :outcome, [BareRepo, :insert, [changeset]])

        assert :ecto_litefs_refusal.proof(error) != :none, inspect(error)
      end

      assert on(two, BareRepo, :all, [Item]) == []
      for member <- [two, one], do: Cluster.stop(member)
      Enum.each(ports, &LiteFS.stop/1)
    end
  end

  defp start(name, dir, litefs, mount, mode \\ :wal) do
    config = [
      database: Path.join(litefs.mount, "shared.db"),
      pool_size: @pool_size,
      journal_mode: mode
    ]

    options = [
      primary_file: Path.join(litefs.mount, ".primary"),
      event_stream_url: "http://127.0.0.1:#{litefs.port}/events",
      mount: mount,
      primary_wait: 500
    ]

    Cluster.start(name, dir, fn _home ->
      [
        {Repo, config, options},
        {FullRepo, config, options},
        {BareRepo, config, nil}
      ]
    end)
  end

  defp await_role(member, role, repo \\ Repo) do
    Cluster.wait("the role #{role} of #{repo}", fn ->
      on(member, :ecto_litefs_status, :role, [repo]) == role
    end)
  end

  defp names(litefs) do
    {:ok, db} = Exqlite.Sqlite3.open(Path.join(litefs.mount, "shared.db"))
    {:ok, statement} = Exqlite.Sqlite3.prepare(db, "SELECT name FROM items")
    {:ok, rows} = Exqlite.Sqlite3.fetch_all(db, statement)
    :ok = Exqlite.Sqlite3.release(db, statement)
    :ok = Exqlite.Sqlite3.close(db)
    List.flatten(rows)
  end
end
