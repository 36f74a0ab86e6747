defmodule RealEcto.ContractTest do
  @moduledoc "The table that says what a user sees, with the real Ecto."
  use ExUnit.Case, async: false
  alias RealEcto.Contract
  alias RealEcto.Contract.Repos

  setup_all do
    Contract.start()
  end

  for spec <- Repos.cases() do
    @spec_of_case spec
    unless Repos.has?(spec), do: @tag(skip: "this Ecto has no such function")

    test "#{elem(spec, 0)}", nodes do
      assert Contract.run(@spec_of_case, nodes) == []
    end
  end
end
