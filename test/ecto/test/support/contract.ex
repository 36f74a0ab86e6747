defmodule RealEcto.Contract do
  @moduledoc """
  Runs the cases of `test/contract/cases.terms` with the real Ecto. The head of
  that file says what every word of a case means; the modules beside it, which
  run the cases with the stand-ins too, know them.
  """
  alias RealEcto.{BareRepo, Cluster}
  alias RealEcto.Contract.{Repos, Words}
  alias :ecto_litefs_contract_state, as: State

  @doc "The two nodes of all cases; every Repo has a database on each."
  def start do
    dir = Cluster.directory("contract")
    empty = migrated(Path.join(dir, "empty.db"))
    primary = Cluster.start(:primary, dir, &repos(:primary, &1, empty))

    caller =
      Cluster.start(:caller, dir, &repos(:caller, &1, empty), epmd_module())

    %{
      primary: primary,
      caller: caller,
      link: link(primary, caller),
      databases: databases(primary: primary, caller: caller)
    }
  end

  # It is needed before the node's code is.
  defp epmd_module do
    ebin = Path.dirname(:code.which(:ecto_litefs_test_epmd))
    ['-pa', to_charlist(ebin), '-epmd_module', 'ecto_litefs_test_epmd']
  end

  # The one way between them. With the setting as an argument the node could
  # not connect to this one when it starts.
  defp link(primary, caller) do
    never = [:kernel, :dist_auto_connect, :never]
    :ok = Cluster.on(primary, Application, :put_env, never)
    {:ok, link} = :ecto_litefs_test_link.open(side(primary), side(caller))
    link
  end

  defp migrated(database) do
    {:ok, pid} =
      BareRepo.start_link(database: database, journal_mode: :delete, log: false)

    :ok = Ecto.Migrator.up(BareRepo, 1, RealEcto.Migration, log: false)
    Supervisor.stop(pid)
    database
  end

  defp repos(role, home, empty) do
    for {repo, state} <- Repos.all() do
      File.cp!(empty, database(home, repo))
      read_only? = role == :caller and State.read_only?(state)
      {repo, config(database(home, repo), read_only?), litefs(state, home)}
    end
  end

  defp database(home, repo), do: Path.join(home, "#{repo}.db")

  defp config(database, read_only?) do
    [
      database: database,
      mode: if(read_only?, do: :readonly, else: :readwrite),
      pool_size: 2,
      # a call may wait for as long as others hold the connections
      queue_target: 10_000,
      journal_mode: :delete
    ]
  end

  defp litefs(:no_supervisor, _home), do: nil

  defp litefs(state, home),
    do: [primary_file: Path.join(home, ".primary")] ++ State.options(state)

  @doc "Runs one case, and answers what is not as expected."
  def run(spec, nodes) do
    repo = Repos.repo(spec)

    :ecto_litefs_contract.run(spec, %{
      repo: repo,
      words: Words,
      caller: side(nodes.caller),
      primary: side(nodes.primary),
      link: nodes.link,
      sql: fn role, sql, params ->
        result = Exqlite.query!(nodes.databases[{role, repo}], sql, params)
        result.rows || []
      end
    })
  end

  defp side(member), do: {member.node, &Cluster.on(member, &1, &2, &3)}

  # Connections past the Repos, and so past the middleware and a read-only one.
  # The test need not survive a loss of power.
  defp databases(members) do
    for {role, member} <- members, {repo, _state} <- Repos.all(), into: %{} do
      {:ok, connection} =
        Exqlite.start_link(
          database: database(member.dir, repo),
          pool_size: 1,
          synchronous: :off
        )

      {{role, repo}, connection}
    end
  end
end
