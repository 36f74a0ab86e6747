defmodule RepoTest do
  @moduledoc """
  What `use EctoLiteFS.Repo` generates, on a Repo that only says what it was
  called with. What happens on a replica is tested on real nodes elsewhere.
  """
  use ExUnit.Case, async: true

  alias Demo.Repos.{New, Old}

  # No supervisor has ever run for these: everything is local.

  test "each arity reaches the Repo's own function" do
    assert New.transaction(:work) == {:transaction, :work, []}
    assert New.transaction(:work, a: 1) == {:transaction, :work, [a: 1]}
    assert New.transact(:work) == {:transact, :work, []}
    assert New.query("sql") == {:query, "sql", [], []}
    assert New.query("sql", [1]) == {:query, "sql", [1], []}
    assert New.query!("sql", [1], a: 1) == {:query!, "sql", [1], [a: 1]}
    assert New.insert_all(:items, []) == {:insert_all, :items, [], []}
    assert New.update_all(:items, [], a: 1) == {:update_all, :items, [], [a: 1]}
    assert New.delete_all(:items) == {:delete_all, :items, []}
  end

  test "{module, function, args} is made a fun, and `on` is ours" do
    assert {:transaction, fun, []} = New.transaction({Kernel, :+, [1, 2]})
    assert fun.() == 3
    assert New.query("sql", [], on: :primary, a: 1) == {:query, "sql", [], [a: 1]}
    assert_raise ArgumentError, ~r/:on/, fn -> New.query("sql", [], on: :moon) end
  end

  test "nothing is defined that the Repo does not have" do
    refute function_exported?(Old, :transact, 2)
    refute function_exported?(Old, :query_many, 3)
  end

  test "the user's own override still reaches the others" do
    assert Old.transaction(:work) == {:of_the_user, {:transaction, :work, []}}
    assert Old.get_dynamic_repo() == :of_the_user
  end

  test "an error reads as one sentence" do
    error = %EctoLiteFS.Error{reason: :migration, repo: New, action: :transaction}
    assert Exception.message(error) =~ ~r/^Demo.Repos.New.transaction is a migration, [^\n]*$/
  end
end
