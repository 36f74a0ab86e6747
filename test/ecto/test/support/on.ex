defmodule RealEcto.On do
  @moduledoc """
  What the tests have run on a peer. It is compiled, not part of a test
  script: a fun must have its module on the node that it travels to.
  """
  import Ecto.Query, only: [dynamic: 2, from: 2]
  alias RealEcto.{Item, Trace}

  @doc "Calls it, and answers how it ended: `{:gave, _}` or what was raised."
  def outcome(module, fun, args) do
    {:gave, apply(module, fun, args)}
  rescue
    exception -> {:raised, exception, __STACKTRACE__}
  end

  def with_position(repo, name) do
    EctoLiteFS.with_position(repo, fn -> repo.insert!(%Item{name: name}) end)
  end

  def changeset(params), do: Item.changeset(params)

  @doc "Inserts twice in a transaction, as somebody does who never saw LiteFS."
  def transaction(repo, names) do
    repo.transaction(fn -> Enum.map(names, &repo.insert!(%Item{name: &1})) end)
  end

  def multi(repo, names) do
    names
    |> Enum.reduce(Ecto.Multi.new(), fn name, multi ->
      Ecto.Multi.insert(multi, name, %Item{name: name})
    end)
    |> repo.transaction()
  end

  @doc "An update whose value is an expression that was made at run time."
  def doubled(repo, name) do
    query = from(i in Item, where: i.name == ^name)
    repo.update_all(query, set: [value: dynamic([i], i.value * 2)])
  end

  @doc "Code that rescues, prints and goes on."
  def rescued(repo, name) do
    repo.transaction(fn -> repo.insert(%Item{name: name}) end)
  rescue
    error in EctoLiteFS.Error ->
      {error.reason, error.outcome, Exception.message(error)}
  end

  @doc "Processes that have a connection each, until they are told `:go_on`."
  def hold(repo, count) do
    test = self()

    holders =
      for _ <- 1..count do
        spawn(fn ->
          repo.checkout(fn ->
            send(test, :taken)
            receive do: (:go_on -> :ok)
          end)
        end)
      end

    for _ <- holders, do: receive(do: (:taken -> :ok))
    holders
  end

  @doc "Has every event of these names noted in this node's trace."
  def watch(events) do
    :telemetry.attach_many(:real_ecto, events, &__MODULE__.event/4, nil)
  end

  def unwatch, do: :telemetry.detach(:real_ecto)

  def event(name, measurements, metadata, _),
    do: Trace.note({name, measurements, metadata})

  @doc "A database of its own below the Repo, with the table of the items."
  def start_tenant(repo, tenant, database) do
    spec = {repo, name: tenant, database: database, mode: :readwrite}

    {:ok, _} =
      Supervisor.start_child(
        RealEcto.Supervisor,
        Supervisor.child_spec(spec, id: tenant)
      )

    under(repo, tenant, :query!, [
      "CREATE TABLE items (id INTEGER PRIMARY KEY, name, value, " <>
        "lock_version, written_on, prepared_on)"
    ])
  end

  def under(repo, tenant, fun, args) do
    repo.put_dynamic_repo(tenant)
    apply(repo, fun, args)
  end
end
