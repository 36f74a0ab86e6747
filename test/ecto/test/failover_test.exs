defmodule RealEcto.FailoverTest do
  use ExUnit.Case, async: false
  import RealEcto.Cluster, only: [on: 4]
  alias RealEcto.{Cluster, Item, On, Pair, Repo}

  # Both may write the file here: after a change of roles either is primary.
  setup context do
    Pair.start("failover #{context.line}",
      replica_mode: :readwrite,
      primary_wait: 2_000
    )
  end

  test "roles change hands, and writes go the other way", c do
    written_on = fn member, name ->
      on(member, Repo, :insert!, [Item.changeset(%{name: name})]).written_on
    end

    assert written_on.(c.replica, "before") == "#{c.primary.node}"

    Pair.demote(c.primary.dir)
    Pair.promote(c.replica.dir)

    for member <- [c.primary, c.replica],
        do: Pair.await_primary(member, Repo, c.replica)

    assert written_on.(c.primary, "after") == "#{c.replica.node}"
    assert written_on.(c.replica, "here") == "#{c.replica.node}"
  end

  test "without a primary a write is not executed, and says so", c do
    Cluster.stop(c.primary)

    assert {:gave, {:error, reason}} =
             on(c.replica, On, :outcome, [Repo, :insert, [%Item{name: "lost"}]])

    assert reason == :primary_unavailable or
             match?({:erpc, :noconnection, _}, reason)

    assert {:raised, %EctoLiteFS.Error{outcome: :not_executed} = error, _} =
             on(c.replica, On, :outcome, [Repo, :insert!, [%Item{name: "lost"}]])

    assert Exception.message(error) =~ "not"
    assert on(c.replica, Repo, :all, [Item]) == []
  end
end
