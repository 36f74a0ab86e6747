defmodule RealEcto.ContractTest do
  use ExUnit.Case, async: false
  alias RealEcto.Contract

  @table Path.expand("../../contract/cases.terms", __DIR__)
  @external_resource @table

  setup_all do
    Contract.start()
  end

  for case <- Contract.cases(@table) do
    @case case
    test "#{elem(case, 0)}", nodes do
      {_name, where, _action, _input, expected} = @case
      nodes = Map.take(nodes, [:primary, :caller])
      names = %{primary_node: nodes.primary.node, repo: Contract.repo(where)}

      got = Contract.run(@case, nodes)

      assert Contract.match?(expected.result, got.result, names),
             "expected #{inspect(expected.result)}\n     got #{inspect(got.result)}"

      assert Map.delete(got, :result) ==
               expected |> Map.delete(:result) |> Map.put(:mailbox, [])
    end
  end
end
