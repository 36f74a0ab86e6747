defmodule RealEcto.ForwardTest do
  use ExUnit.Case, async: false
  import Ecto.Query, only: [from: 2]
  import RealEcto.Cluster, only: [on: 4]
  alias RealEcto.{Item, LeadingRepo, On, Pair, Part, Repo, StackedRepo, Trace}

  setup_all do
    Pair.start("forward")
  end

  setup %{primary: primary, replica: replica} do
    for member <- [primary, replica], do: on(member, Trace, :taken, [])
    # in the names: what an earlier test left is none of a test's business
    {:ok, name: "item #{System.unique_integer([:positive])}"}
  end

  defp outcome(member, repo, action, args),
    do: on(member, On, :outcome, [repo, action, args])

  defp row(member, name), do: on(member, Repo, :get_by, [Item, [name: name]])

  test "an insert runs on the primary, and is there for the replica", c do
    assert {:gave, {:ok, item}} =
             outcome(c.replica, Repo, :insert, [
               Item.changeset(%{name: c.name, value: 4})
             ])

    assert %Item{value: 4, id: id} = item
    assert item.written_on == "#{c.primary.node}"
    assert Ecto.get_meta(item, :state) == :loaded
    assert %Item{id: ^id} = row(c.replica, c.name)
  end

  test "the caller's dynamic repo goes along", c do
    for member <- [c.primary, c.replica] do
      database = Path.join(System.tmp_dir!(), "tenant_#{member.node}.db")
      on_exit(fn -> Enum.each(Path.wildcard(database <> "*"), &File.rm/1) end)
      on(member, On, :start_tenant, [Repo, :tenant, database])
    end

    under = fn member, fun, args ->
      on(member, On, :under, [Repo, :tenant, fun, args])
    end

    assert {:ok, %Item{}} =
             under.(c.replica, :insert, [Item.changeset(%{name: c.name})])

    assert [%Item{}] = under.(c.primary, :all, [Item])
    assert [] = under.(c.replica, :all, [Item])
    assert row(c.primary, c.name) == nil
  end

  test "options go along", c do
    insert = fn value ->
      outcome(c.replica, Repo, :insert!, [
        %Item{name: c.name, value: value},
        [
          on_conflict: [set: [value: value]],
          conflict_target: :name,
          returning: [:value]
        ]
      ])
    end

    assert {:gave, %Item{value: 1}} = insert.(1)
    assert {:gave, %Item{value: 2}} = insert.(2)
    assert row(c.primary, c.name).value == 2
  end

  describe "bulk" do
    test "runs on the primary, and counts come back", c do
      names = for n <- 1..3, do: "#{c.name} #{n}"
      rows = for name <- names, do: %{name: name, value: 1}

      assert {:gave, {3, [%Item{}, %Item{}, %Item{}] = items}} =
               outcome(c.replica, Repo, :insert_all, [
                 Item,
                 rows,
                 [returning: true]
               ])

      assert Enum.map(items, & &1.name) == names
      query = from(i in Item, where: i.name in ^names)

      assert {:gave, {3, nil}} =
               outcome(c.replica, Repo, :update_all, [query, [inc: [value: 4]]])

      assert row(c.primary, hd(names)).value == 5
      assert {:gave, {3, nil}} = outcome(c.replica, Repo, :delete_all, [query])
      assert row(c.primary, hd(names)) == nil
    end

    test "takes rows from a query, which the primary reads", c do
      {:gave, _} =
        outcome(c.replica, Repo, :insert, [Item.changeset(%{name: c.name})])

      source =
        from(i in Item,
          where: i.name == ^c.name,
          select: %{label: i.name, item_id: i.id}
        )

      assert {:gave, {1, nil}} =
               outcome(c.replica, Repo, :insert_all, [Part, source])

      assert on(c.primary, Repo, :get_by, [Part, [label: c.name]])
    end

    test "takes dynamic expressions, which hold funs", c do
      {:gave, _} =
        outcome(c.replica, Repo, :insert, [
          Item.changeset(%{name: c.name, value: 2})
        ])

      assert {:gave, {1, nil}} =
               outcome(c.replica, On, :doubled, [Repo, c.name])

      assert row(c.primary, c.name).value == 4
    end

    test "a stream is refused as on the primary", c do
      stream = [Item, Stream.map([%{name: c.name}], &Function.identity/1)]

      assert {:raised, %module{}, _} =
               outcome(c.primary, Repo, :insert_all, stream)

      assert {:raised, %^module{}, _} =
               outcome(c.replica, Repo, :insert_all, stream)
    end

    test "around ours only middleware that wants bulk calls runs", c do
      assert {:gave, {1, nil}} =
               outcome(c.replica, StackedRepo, :insert_all, [
                 Item,
                 [%{name: c.name}]
               ])

      assert row(c.primary, c.name)
      assert on(c.replica, Trace, :taken, []) == []
      assert on(c.primary, Trace, :taken, []) == []
    end
  end

  test "an invalid changeset raises as itself, with the primary's stack", c do
    assert {:raised,
            %Ecto.InvalidChangesetError{action: :insert, changeset: changeset},
            stack} = outcome(c.replica, Repo, :insert!, [Item.changeset(%{})])

    assert changeset.errors[:name]

    assert {Ecto.Repo.Schema, :insert!, _, _} =
             List.keyfind(stack, Ecto.Repo.Schema, 0)

    # where it ran, and whom it was called by
    assert List.keyfind(stack, :ecto_litefs_executor, 0)
  end

  test "a constraint that no changeset declares raises as itself", c do
    assert {:gave, _} =
             outcome(c.replica, Repo, :insert, [Item.changeset(%{name: c.name})])

    assert {:raised,
            %Ecto.ConstraintError{
              constraint: "items_name_index",
              type: :unique
            },
            _} =
             outcome(c.replica, Repo, :insert, [Item.changeset(%{name: c.name})])

    assert {:gave, {:error, %Ecto.Changeset{} = changeset}} =
             outcome(c.replica, Repo, :insert, [
               Item.unique(Item.changeset(%{name: c.name}))
             ])

    assert {"has already been taken", _} = changeset.errors[:name]
  end

  test "an optimistic lock that another caller took raises StaleEntryError",
       c do
    {:gave, {:ok, item}} =
      outcome(c.replica, Repo, :insert, [Item.changeset(%{name: c.name})])

    changeset = item |> Item.changeset(%{value: 5}) |> Item.locked()

    assert {:gave, {:ok, %Item{lock_version: 2}}} =
             outcome(c.primary, Repo, :update, [changeset])

    assert {:raised, %Ecto.StaleEntryError{}, _} =
             outcome(c.replica, Repo, :update, [changeset])

    assert {:raised, %Ecto.StaleEntryError{}, _} =
             outcome(c.replica, Repo, :update!, [changeset])

    assert {:gave, {:error, %Ecto.Changeset{}}} =
             outcome(c.replica, Repo, :update, [
               changeset,
               [stale_error_field: :name]
             ])
  end

  test "children are written with their parent, on the primary", c do
    assert {:gave, {:ok, %Item{parts: parts} = item}} =
             outcome(c.replica, Repo, :insert, [with_parts(c)])

    assert Enum.map(parts, & &1.item_id) == [item.id, item.id]
    assert Enum.uniq(Enum.map(parts, & &1.written_on)) == ["#{c.primary.node}"]
  end

  test "a child that fails takes its parent with it", c do
    on(c.primary, Repo, :insert!, [%Part{label: c.name <> " b"}])

    assert {:raised, %Ecto.ConstraintError{constraint: "parts_label_index"}, _} =
             outcome(c.replica, Repo, :insert, [with_parts(c)])

    assert row(c.primary, c.name) == nil
    assert on(c.primary, Repo, :get_by, [Part, [label: c.name <> " a"]]) == nil
  end

  test "prepare_changes writes in the same transaction, on the primary", c do
    changeset = Item.counted(Item.changeset(%{name: c.name}))
    assert {:gave, {:ok, item}} = outcome(c.replica, Repo, :insert, [changeset])
    assert item.prepared_on == "#{c.primary.node}"
    part = on(c.primary, Repo, :get_by, [Part, [label: "count of #{c.name}"]])
    assert part.written_on == "#{c.primary.node}"

    # the part of this one is written before the name turns out to be taken
    on(c.primary, Repo, :delete!, [part])

    assert {:raised, %Ecto.ConstraintError{}, _} =
             outcome(c.replica, Repo, :insert, [changeset])

    assert on(c.primary, Repo, :get_by, [Part, [label: "count of #{c.name}"]]) ==
             nil
  end

  test "middleware on both sides of ours runs once, on the caller", c do
    assert {:gave, {:ok, item}} =
             outcome(c.replica, StackedRepo, :insert, [
               Item.changeset(%{name: c.name})
             ])

    assert item.written_on == "#{c.primary.node}"

    assert on(c.replica, Trace, :taken, []) == [
             {:outer, :before, :insert},
             {:inner, :before, :insert},
             {:inner, :after, :insert},
             {:outer, :after, :insert}
           ]

    assert on(c.primary, Trace, :taken, []) == []
  end

  test "middleware behind ours only runs once, on the primary", c do
    assert {:gave, {:ok, item}} =
             outcome(c.replica, LeadingRepo, :insert, [
               Item.changeset(%{name: c.name})
             ])

    assert item.written_on == "#{c.primary.node}"
    assert on(c.replica, Trace, :taken, []) == []

    assert on(c.primary, Trace, :taken, []) == [
             {:inner, :before, :insert},
             {:inner, :after, :insert}
           ]
  end

  test "on the primary middleware around ours runs as without us", c do
    assert {:gave, {:ok, _}} =
             outcome(c.primary, StackedRepo, :insert, [
               Item.changeset(%{name: c.name})
             ])

    assert on(c.primary, Trace, :taken, []) == [
             {:outer, :before, :insert},
             {:inner, :before, :insert},
             {:inner, :after, :insert},
             {:outer, :after, :insert}
           ]
  end

  test "the engine sees a halt on the replica, and none on the primary", c do
    event = [:ecto_middleware, :middleware, :stop]
    for member <- [c.replica, c.primary], do: on(member, On, :watch, [[event]])

    {:gave, {:ok, _}} =
      outcome(c.replica, Repo, :insert, [Item.changeset(%{name: c.name})])

    for member <- [c.replica, c.primary], do: on(member, On, :unwatch, [])

    assert [
             {^event, %{duration: _},
              %{middleware: EctoLiteFS.Middleware, result: :halt}}
           ] = on(c.replica, Trace, :taken, [])

    assert Enum.all?(
             on(c.primary, Trace, :taken, []),
             &match?({^event, _, %{result: :cont}}, &1)
           )
  end

  test "our telemetry is a span with 1.0's metadata", c do
    start = [:ecto_litefs, :forward, :start]
    stop = [:ecto_litefs, :forward, :stop]
    exception = [:ecto_litefs, :forward, :exception]
    on(c.replica, On, :watch, [[start, stop, exception]])

    {:gave, {:ok, _}} =
      outcome(c.replica, Repo, :insert, [Item.changeset(%{name: c.name})])

    {:raised, _, _} = outcome(c.replica, Repo, :insert!, [Item.changeset(%{})])
    on(c.replica, On, :unwatch, [])

    primary = c.primary.node

    assert [
             {^start, %{system_time: _, monotonic_time: _}, metadata},
             {^stop, %{duration: duration, monotonic_time: _}, stopped},
             {^start, _, _},
             {^exception, %{duration: _}, failed}
           ] = on(c.replica, Trace, :taken, [])

    assert %{repo: Repo, action: :insert, primary_node: ^primary} = metadata
    assert %{repo: Repo, action: :insert, primary_node: ^primary} = stopped
    assert is_integer(duration)

    assert %{
             repo: Repo,
             action: :insert!,
             kind: :error,
             reason: %Ecto.InvalidChangesetError{}
           } = failed

    assert is_list(failed.stacktrace)
  end

  test "a write in a transaction on the replica is refused, nothing is written",
       c do
    names = [c.name, c.name <> "'"]

    assert {:raised, %EctoLiteFS.Error{} = error, _} =
             on(c.replica, On, :outcome, [On, :transaction, [Repo, names]])

    assert %{
             reason: :in_transaction,
             action: :insert!,
             repo: Repo,
             outcome: :not_executed
           } = error

    assert {:raised, %EctoLiteFS.Error{reason: :in_transaction}, _} =
             on(c.replica, On, :outcome, [On, :multi, [Repo, names]])

    assert row(c.primary, c.name) == nil

    assert {:in_transaction, :not_executed, text} =
             on(c.replica, On, :rescued, [Repo, c.name])

    assert text =~ "transaction"

    assert {:gave, {:ok, [_, _]}} =
             on(c.primary, On, :outcome, [On, :transaction, [Repo, names]])
  end

  test "reads of every kind stay on the replica", c do
    {:gave, {:ok, item}} = outcome(c.replica, Repo, :insert, [with_parts(c)])
    event = [:real_ecto, :repo, :query]
    for member <- [c.replica, c.primary], do: on(member, On, :watch, [[event]])

    assert %Item{} = on(c.replica, Repo, :get, [Item, item.id])
    assert %Item{} = on(c.replica, Repo, :get!, [Item, item.id])
    assert %Item{} = on(c.replica, Repo, :reload, [item])

    assert %Item{parts: [_, _]} =
             on(c.replica, Repo, :preload, [%Item{id: item.id}, :parts])

    assert on(c.replica, Repo, :exists?, [Item])
    assert on(c.replica, Repo, :aggregate, [Item, :count]) > 0

    for member <- [c.replica, c.primary], do: on(member, On, :unwatch, [])
    assert length(on(c.replica, Trace, :taken, [])) == 6
    assert on(c.primary, Trace, :taken, []) == []
  end

  defp with_parts(c) do
    %{name: c.name, parts: [%{label: c.name <> " a"}, %{label: c.name <> " b"}]}
    |> Item.changeset()
    |> Item.with_parts()
  end
end
