defmodule RealEcto.PoolTest do
  @moduledoc """
  What `disconnect_all/2` does to the connections of a real pool. Each of them
  is an SQLite handle that would go on writing into a file which a mount hides;
  a renamed directory hides it here.
  """
  use ExUnit.Case, async: false
  alias RealEcto.{Cluster, Repo}

  @pool_size 3
  @pool_count 2

  setup context do
    dir = Cluster.directory("pool #{context.line}")
    visible = Path.join(dir, "data")
    File.mkdir_p!(visible)

    config = [
      database: Path.join(visible, "a.db"),
      pool_size: @pool_size,
      log: false,
      journal_mode: :wal,
      # connections that begin at the same time can find the file locked
      backoff_min: 20,
      backoff_max: 200
    ]

    config = config ++ Map.get(context, :repo, [])
    start_supervised!({Repo, config})
    Repo.query!("CREATE TABLE writes (n INTEGER)")
    # every connection has been used, so that all have their handles open
    pools = Keyword.get(config, :pool_count, 1)
    in_use(@pool_size, pools, fn -> Repo.query!("SELECT n FROM writes") end)
    {:ok, visible: visible, hidden: Path.join(dir, "hidden")}
  end

  test "disconnect_all alone lets an old handle write once more", c do
    hide(c)
    :ok = Repo.disconnect_all(0)
    for n <- 1..2, do: Repo.query!("INSERT INTO writes VALUES (#{n})")
    # the reason why :ecto_litefs_pool exists
    assert 1 in written(c.hidden)
  end

  test "after renew every connection writes what is visible", c do
    hide(c)
    :ok = :ecto_litefs_pool.renew(Repo)
    in_use(@pool_size, fn -> Repo.query!("INSERT INTO writes VALUES (1)") end)
    assert written(c.hidden) == []
    assert written(c.visible) == [1, 1, 1]
  end

  @tag repo: [pool_count: @pool_count]
  test "after renew every connection of every pool writes what is visible",
       c do
    hide(c)
    :ok = :ecto_litefs_pool.renew(Repo)

    insert = fn -> Repo.query!("INSERT INTO writes VALUES (1)") end
    in_use(@pool_size, @pool_count, insert)
    assert written(c.hidden) == []
    assert length(written(c.visible)) == @pool_count * @pool_size
  end

  test "a connection in use is renewed when its user is done", c do
    test = self()

    user =
      Task.async(fn ->
        Repo.checkout(fn ->
          send(test, :taken)
          receive do: (:go_on -> :ok)
        end)

        Repo.query!("INSERT INTO writes VALUES (9)")
      end)

    assert_receive :taken, 5_000
    hide(c)
    :ok = :ecto_litefs_pool.renew(Repo)
    send(user.pid, :go_on)
    Task.await(user)
    in_use(@pool_size, fn -> Repo.query!("INSERT INTO writes VALUES (1)") end)
    assert written(c.hidden) == []
    assert Enum.sort(written(c.visible)) == [1, 1, 1, 9]
  end

  test "a pool with no free connection is not renewed, and says so", c do
    test = self()

    users =
      for _ <- 1..@pool_size do
        Task.async(fn ->
          Repo.checkout(fn ->
            send(test, :taken)
            receive do: (:go_on -> :ok)
          end)
        end)
      end

    for _ <- users, do: assert_receive(:taken, 5_000)
    hide(c)

    assert_raise DBConnection.ConnectionError, fn ->
      :ecto_litefs_pool.renew(Repo)
    end

    for user <- users, do: send(user.pid, :go_on)
    Task.await_many(users)
    # a pool that was overloaded drops requests for a while; so the detector
    # asks again
    renewed(100)
  end

  defp renewed(0), do: flunk("the pool is not renewed")

  defp renewed(tries) do
    :ok = :ecto_litefs_pool.renew(Repo)
  rescue
    DBConnection.ConnectionError -> renewed(tries - 1)
  end

  # As a mount does: the same path leads to another file from now on.
  defp hide(c) do
    File.rename!(c.visible, c.hidden)
    File.mkdir_p!(c.visible)
    sql(c.visible, "CREATE TABLE writes (n INTEGER)")
    sql(c.visible, "PRAGMA journal_mode = wal")
  end

  # The function runs on so many connections of each pool at the same time.
  defp in_use(count, pools \\ 1, fun) do
    tasks =
      for pool <- 0..(pools - 1), _ <- 1..count, do: user(pool, pools, fun)

    # one after the other: SQLite lets one write at a time
    for task <- tasks do
      send(task.pid, :go_on)
      Task.await(task)
    end
  end

  # A process that has a connection of this pool: which one it gets, its pid
  # says.
  defp user(pool, pools, fun) do
    test = self()

    task =
      Task.async(fn ->
        if :erlang.phash2(self(), pools) == pool do
          Repo.checkout(fn ->
            send(test, {:taken, self()})
            receive do: (:go_on -> fun.())
          end)
        else
          send(test, {:elsewhere, self()})
        end
      end)

    pid = task.pid
    assert_receive {got, ^pid}, 5_000
    if got == :taken, do: task, else: user(pool, pools, fun)
  end

  defp written(dir), do: List.flatten(sql(dir, "SELECT n FROM writes"))

  defp sql(dir, text) do
    {:ok, db} = Exqlite.Sqlite3.open(Path.join(dir, "a.db"))
    {:ok, statement} = Exqlite.Sqlite3.prepare(db, text)
    {:ok, rows} = Exqlite.Sqlite3.fetch_all(db, statement)
    :ok = Exqlite.Sqlite3.release(db, statement)
    :ok = Exqlite.Sqlite3.close(db)
    rows
  end
end
