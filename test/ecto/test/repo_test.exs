defmodule RealEcto.RepoTest do
  @moduledoc "`use EctoLiteFS.Repo`: what no middleware sees goes to the primary."
  use ExUnit.Case, async: false
  import Ecto.Query, only: [from: 2]
  import RealEcto.Cluster, only: [on: 4]
  alias RealEcto.{FullRepo, Item, On, Pair, Repo, Trace, Work}

  setup_all do
    Pair.start("repo")
  end

  setup %{primary: primary, replica: replica} do
    for member <- [primary, replica], do: on(member, Trace, :taken, [])
    {:ok, name: "item #{System.unique_integer([:positive])}"}
  end

  defp work(member, name, work, repo \\ FullRepo),
    do: on(member, On, :outcome, [Work, :run, [repo, name, work]])

  defp query(member, fun, args), do: on(member, On, :outcome, [FullRepo, fun, args])

  defp names(c) do
    for %Item{name: name} <- on(c.primary, FullRepo, :all, [Item]),
        String.starts_with?(name, c.name),
        do: name
  end

  describe "a transaction" do
    test "of a fun runs whole on the primary, and sees its own writes", c do
      assert {:gave, {:ok, %Item{} = item}} = work(c.replica, c.name, :insert)
      assert item.name == c.name
      assert item.written_on == "#{c.primary.node}"
      assert names(c) == [c.name]
      there = c.primary.node
      assert {:ran_on, there} in on(c.primary, Trace, :taken, [])
    end

    test "gives the Repo to a fun that takes it", c do
      assert {:gave, {:ok, %Item{}}} = work(c.replica, c.name, :takes_repo)
      assert names(c) == [c.name]
    end

    test "is rolled back whole", c do
      assert {:gave, {:error, :changed_my_mind}} = work(c.replica, c.name, :rolls_back)
      assert names(c) == []
    end

    test "raises what is raised in it, and is rolled back", c do
      assert {:raised, %ArgumentError{message: "in the middle"}, stack} =
               work(c.replica, c.name, :raises)

      assert Enum.any?(stack, &match?({Work, _, _, _}, &1))
      assert names(c) == []
    end

    test "may have others in it", c do
      assert {:gave, {:ok, two}} = work(c.replica, c.name, :nested)
      assert names(c) == [c.name, two]
    end

    test "is rolled back with the one in it", c do
      assert {:gave, {:error, :rollback}} = work(c.replica, c.name, :nested_rolls_back)
      assert names(c) == []
    end

    test "of {module, function, args} runs on the primary", c do
      assert {:gave, {:ok, %Item{}}} = work(c.replica, c.name, :mfa)
      there = c.primary.node
      assert {:ran_on, there} in on(c.primary, Trace, :taken, [])
      assert {:gave, {:ok, %Item{}}} = work(c.primary, c.name <> " here", :mfa)
    end

    test "with read_only: true stays", c do
      here = c.replica.node
      assert {:gave, {:ok, {^here, _count}}} = work(c.replica, c.name, :reads)
    end

    test "with read_only: true refuses to write, in SQL too", c do
      for work <- [:reads_and_writes, :reads_and_writes_sql] do
        assert {:raised, %EctoLiteFS.Error{} = error, _} = work(c.replica, c.name, work)
        assert {error.reason, error.outcome} == {:in_transaction, :not_executed}
      end

      assert names(c) == []
    end

    test "begins immediately on the primary, so that none fails for another", c do
      tasks =
        for n <- 1..10 do
          Task.async(fn -> work(c.replica, "#{c.name} #{n}", :reads_first) end)
        end

      for task <- tasks, do: assert({:gave, {:ok, %Item{}}} = Task.await(task, 30_000))
      assert length(names(c)) == 10
    end

    test "of the user's own override reaches ours", c do
      assert {:gave, {:ok, _}} = work(c.replica, c.name, :insert)
      assert {:transaction, c.replica.node} in on(c.replica, Trace, :taken, [])
      assert {:transaction, c.primary.node} in on(c.primary, Trace, :taken, [])
    end

    test "works without the line, as a function", c do
      args = [Repo, {Work, :insert, [Repo, c.name]}]
      assert {:gave, {:ok, %Item{}}} = on(c.replica, On, :outcome, [EctoLiteFS, :transaction, args])
      assert names(c) == [c.name]
    end
  end

  describe "transact" do
    if Code.ensure_loaded?(Repo) and function_exported?(Repo, :transact, 2) do
      test "commits {:ok, _}", c do
        assert {:gave, {:ok, %Item{}}} = work(c.replica, c.name, :transact)
        assert names(c) == [c.name]
      end

      test "rolls {:error, _} back", c do
        assert {:gave, {:error, :not_good}} = work(c.replica, c.name, :transact_error)
        assert names(c) == []
      end
    end
  end

  describe "a Multi" do
    test "with a write runs whole on the primary", c do
      assert {:gave, {:ok, changes}} = work(c.replica, c.name, :multi)
      assert %{first: %Item{}, second: %Item{}, all: [_, _]} = changes
      assert changes.second.written_on == "#{c.primary.node}"
      assert length(names(c)) == 2
    end

    test "that fails answers four, and is rolled back whole", c do
      assert {:gave, {:error, :again, %Ecto.Changeset{} = changeset, %{first: %Item{}}}} =
               work(c.replica, c.name, :multi_fails)

      assert {"has already been taken", _} = changeset.errors[:name]
      assert names(c) == []
    end

    test "with a broken run raises as on the primary", c do
      assert {:raised, there, _} = work(c.primary, c.name, :multi_broken)
      assert {:raised, here, _} = work(c.replica, c.name, :multi_broken)
      assert here == there
      assert names(c) == []
    end

    test "of reads stays", c do
      assert {:gave, {:ok, changes}} = work(c.replica, c.name, :multi_reads)
      assert changes == %{node: 1, one: nil, all: [], exists: false}
      assert on(c.primary, Trace, :taken, []) == []
    end
  end

  describe "a query" do
    test "that reads stays", c do
      assert {:gave, {:ok, %{rows: [[1]]}}} = query(c.replica, :query, ["SELECT 1"])
    end

    test "that writes runs on the primary", c do
      insert = "INSERT INTO items (name) VALUES (?) RETURNING name"
      assert {:gave, {:ok, result}} = query(c.replica, :query, [insert, [c.name]])
      assert result.rows == [[c.name]]
      assert names(c) == [c.name]
      delete = "DELETE FROM items WHERE name = ?"
      assert {:gave, %{num_rows: 1}} = query(c.replica, :query!, [delete, [c.name]])
      assert names(c) == []
    end

    test "that fails answers or raises what the primary does", c do
      {:ok, _} = on(c.primary, FullRepo, :insert, [%Item{name: c.name}])
      insert = "INSERT INTO items (name) VALUES (?)"
      assert {:gave, {:error, there}} = query(c.primary, :query, [insert, [c.name]])
      assert {:gave, {:error, ^there}} = query(c.replica, :query, [insert, [c.name]])
      assert {:raised, ^there, _} = query(c.replica, :query!, [insert, [c.name]])
      assert {:gave, {:error, wrong}} = query(c.replica, :query, ["SELEC 1"])
      assert wrong.message =~ "syntax error"
    end

    test "says where, if it is told to", c do
      insert = "INSERT INTO items (name) VALUES (?)"

      assert {:gave, {:error, %{message: message}}} =
               query(c.replica, :query, [insert, [c.name], [on: :local]])

      assert message =~ "readonly"
      assert names(c) == []
      assert {:gave, {:ok, _}} = query(c.replica, :query, [insert, [c.name], [on: :primary]])
      assert names(c) == [c.name]
      assert {:raised, %ArgumentError{}, _} = query(c.replica, :query, ["SELECT 1", [], [on: :moon]])
    end

    test "of several statements is the first of them, as on the primary", c do
      two = "INSERT INTO items (name) VALUES ('#{c.name}'); DELETE FROM items"
      for member <- [c.primary, c.replica] do
        on(c.primary, FullRepo, :query!, ["DELETE FROM items WHERE name = ?", [c.name]])
        assert {:gave, {:ok, _}} = query(member, :query, [two])
        assert names(c) == [c.name]
      end

      assert {:gave, {:ok, %{rows: [[1]]}}} =
               query(c.replica, :query, ["SELECT 1; DELETE FROM items"])

      assert names(c) == [c.name]
    end

    test "query_many answers what it answers on the primary", c do
      for fun <- [:query_many, :query_many!] do
        got = for member <- [c.primary, c.replica], do: query(member, fun, ["SELECT 1"])
        assert [{kind, what} | _] = Enum.map(got, &{elem(&1, 0), elem(&1, 1)})
        assert {kind, what} == {elem(Enum.at(got, 1), 0), elem(Enum.at(got, 1), 1)}
      end
    end

    test "PRAGMA reads here, and writes there", c do
      assert {:gave, {:ok, %{rows: [_ | _]}}} = query(c.replica, :query, ["PRAGMA table_info(items)"])
      assert {:gave, {:ok, _}} = query(c.replica, :query, ["PRAGMA user_version = 7"])
      assert {:gave, {:ok, %{rows: [[7]]}}} = query(c.primary, :query, ["PRAGMA user_version"])
    end

    test "VACUUM runs on the primary", c do
      assert {:gave, {:ok, _}} = query(c.replica, :query, ["VACUUM"])
    end

    test "ATTACH stays, as it does on the primary", c do
      sql = "ATTACH DATABASE ':memory:' AS aside"
      assert {:gave, {:ok, _}} = query(c.replica, :query, [sql])
    end

    test "BEGIN and its like are refused", c do
      for sql <- ["BEGIN", "begin immediate", "-- so\nCOMMIT", "/* a */ END", " ROLLBACK",
                  "SAVEPOINT a", "RELEASE a"] do
        assert {:raised, %EctoLiteFS.Error{reason: :transaction_statement} = error, _} =
                 query(c.replica, :query, [sql])

        assert Exception.message(error) =~ "Repo.transaction"
      end
    end
  end

  # by the middleware, or with EctoMiddleware 2.0 by the line
  test "bulk functions run on the primary", c do
    rows = for n <- 1..2, do: %{name: "#{c.name} #{n}", value: 1}
    query = from(i in Item, where: like(i.name, ^"#{c.name}%"))
    run = &on(c.replica, On, :outcome, [FullRepo, &1, &2])

    assert {:gave, {2, nil}} = run.(:insert_all, [Item, rows])
    assert length(names(c)) == 2
    assert {:gave, {2, nil}} = run.(:update_all, [query, [set: [value: 2]]])
    assert {:gave, {2, nil}} = run.(:delete_all, [query])
    assert names(c) == []
  end

  test "a migration says where it belongs", c do
    up = [FullRepo, 2, RealEcto.Migration, [log: false]]

    assert {:raised, %EctoLiteFS.Error{reason: :migration} = error, _} =
             on(c.replica, On, :outcome, [Ecto.Migrator, :up, up])

    assert Exception.message(error) =~ "primary"
    refute Exception.message(error) =~ "\n"
  end

  test "any code runs on the primary, and not from inside a transaction", c do
    there = c.primary.node
    assert {there, c.name} == on(c.replica, Work, :on_primary, [Repo, c.name])

    assert {:in_transaction, :run_on_primary} ==
             on(c.replica, Work, :in_transaction_on_primary, [Repo, c.name <> " two"])
  end

  test "the caller's context goes along, and does not come back", c do
    assert {{seen, callers, nil}, kept, caller} =
             on(c.replica, Work, :context, [FullRepo, c.name])

    assert {seen, kept} == {c.name, c.name}
    assert [^caller, ^caller] = callers
  end

  test "what cannot travel is not sent", c do
    for {what, kind} <- [ets: :handle, port: :port] do
      assert {:raised, %EctoLiteFS.Error{} = error, _} =
               on(c.replica, On, :outcome, [Work, :unportable, [FullRepo, what]])

      assert error.reason == {:not_executed, {:cannot_travel, kind}}
    end

    assert {:gave, {:error, {:not_executed, {:cannot_travel, :handle}}}} =
             on(c.replica, On, :outcome, [Work, :unportable, [FullRepo, :atomics]])
  end
end
