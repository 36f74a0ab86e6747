defmodule RealEcto.Contract.Repos do
  @moduledoc """
  A Repo for each state of the caller that the contract's table has, without or
  with the line `use EctoLiteFS.Repo`, so that nothing said for one is
  remembered for another.
  """
  alias :ecto_litefs_contract_state, as: State
  alias :ecto_litefs_contract_table, as: Table

  @table Path.expand("../../../contract/cases.terms", __DIR__)
  @external_resource @table
  @cases Table.cases(@table)

  @states @cases
          |> Enum.map(fn {_name, where, _action, _input, _expected} ->
            {State.state(where), State.line?(where)}
          end)
          |> Enum.uniq()

  for {state, line?} <- @states do
    name = Macro.camelize("#{state}_#{if line?, do: "line_repo", else: "repo"}")
    @repo Module.concat(RealEcto.Contract, name)

    def repo(unquote(state), unquote(line?)), do: unquote(@repo)

    defmodule @repo do
      use Ecto.Repo, otp_app: :real_ecto, adapter: Ecto.Adapters.SQLite3
      use EctoMiddleware.Repo
      if line?, do: use(EctoLiteFS.Repo)

      @impl EctoMiddleware.Repo
      def middleware(_action, _resource) do
        Application.get_env(:real_ecto, :middleware, [EctoLiteFS.Middleware])
      end
    end
  end

  def cases, do: @cases

  @doc "The Repo for a case."
  def repo({_name, where, _action, _input, _expected}),
    do: repo(State.state(where), State.line?(where))

  @doc "Each with its state: `[{repo, state}]`."
  def all, do: for({state, line?} <- @states, do: {repo(state, line?), state})

  @doc "Whether this Ecto has the function of a case: 3.12 has no `transact`."
  def has?({_name, _where, :transact, _input, _expected} = spec) do
    Code.ensure_loaded!(repo(spec))
    function_exported?(repo(spec), :transact, 2)
  end

  def has?(_spec), do: true
end
