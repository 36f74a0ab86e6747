defmodule RealEcto.Work do
  @moduledoc """
  Transactions as an application writes them. Compiled, as `RealEcto.On` is:
  funs travel to the primary.
  """
  import Ecto.Query, only: [from: 2]
  alias Ecto.Multi
  alias RealEcto.{Item, Trace}

  @doc "Each has its name in a test; answers what the Repo answered."
  def run(repo, name, work)

  def run(repo, name, :insert) do
    repo.transaction(fn ->
      Trace.note({:ran_on, node()})
      repo.insert!(%Item{name: name})
      repo.get_by!(Item, name: name)
    end)
  end

  def run(repo, name, :takes_repo) do
    repo.transaction(fn repo -> repo.insert!(%Item{name: name}) end)
  end

  def run(repo, name, :rolls_back) do
    repo.transaction(fn ->
      repo.insert!(%Item{name: name})
      repo.insert!(%Item{name: name <> " two"})
      repo.rollback(:changed_my_mind)
    end)
  end

  def run(repo, name, :raises) do
    repo.transaction(fn ->
      repo.insert!(%Item{name: name})
      raise ArgumentError, "in the middle"
    end)
  end

  def run(repo, name, :nested) do
    repo.transaction(fn ->
      repo.insert!(%Item{name: name})

      {:ok, inner} =
        repo.transaction(fn -> repo.insert!(%Item{name: name <> " two"}) end)

      inner.name
    end)
  end

  def run(repo, name, :nested_rolls_back) do
    repo.transaction(fn ->
      repo.insert!(%Item{name: name})
      {:error, :inner} = repo.transaction(fn -> repo.rollback(:inner) end)
    end)
  end

  def run(repo, name, :mfa), do: repo.transaction({__MODULE__, :insert, [repo, name]})

  def run(repo, _name, :reads) do
    repo.transaction(fn -> {node(), repo.aggregate(Item, :count)} end, read_only: true)
  end

  def run(repo, name, :reads_and_writes) do
    repo.transaction(fn -> repo.insert(%Item{name: name}) end, read_only: true)
  end

  def run(repo, name, :reads_and_writes_sql) do
    repo.transaction(
      fn -> repo.query("INSERT INTO items (name) VALUES (?)", [name]) end,
      read_only: true
    )
  end

  def run(repo, name, :reads_first) do
    repo.transaction(fn ->
      repo.aggregate(Item, :count)
      Process.sleep(20)
      repo.insert!(%Item{name: name})
    end)
  end

  def run(repo, name, :transact) do
    repo.transact(fn -> repo.insert(%Item{name: name}) end)
  end

  def run(repo, name, :transact_error) do
    repo.transact(fn ->
      repo.insert!(%Item{name: name})
      {:error, :not_good}
    end)
  end

  def run(repo, name, :multi) do
    Multi.new()
    |> Multi.insert(:first, Item.changeset(%{name: name}))
    |> Multi.run(:second, fn repo, %{first: first} ->
      repo.insert(%Item{name: first.name <> " two"})
    end)
    |> Multi.all(:all, from(i in Item, where: like(i.name, ^(name <> "%"))))
    |> repo.transaction()
  end

  def run(repo, name, :multi_fails) do
    Multi.new()
    |> Multi.insert(:first, Item.changeset(%{name: name}))
    |> Multi.insert(:again, Item.unique(Item.changeset(%{name: name})))
    |> repo.transaction()
  end

  def run(repo, name, :multi_broken) do
    Multi.new()
    |> Multi.insert(:first, Item.changeset(%{name: name}))
    |> Multi.run(:broken, fn _repo, _changes -> :neither_ok_nor_error end)
    |> repo.transaction()
  end

  def run(repo, name, :multi_reads) do
    Multi.new()
    |> Multi.put(:node, 1)
    |> Multi.one(:one, from(i in Item, where: i.name == ^name))
    |> Multi.all(:all, fn _ -> from(i in Item, where: i.name == ^name) end)
    |> Multi.exists?(:exists, from(i in Item, where: i.name == ^name))
    |> repo.transaction()
  end

  def insert(repo, name) do
    Trace.note({:ran_on, node()})
    repo.insert!(%Item{name: name})
  end

  @doc "A write, and where it ran, without the line."
  def on_primary(repo, name) do
    EctoLiteFS.run_on_primary(repo, fn ->
      repo.insert!(%Item{name: name})
      {node(), repo.get_by!(Item, name: name).name}
    end)
  end

  def in_transaction_on_primary(repo, name) do
    {:ok, got} =
      repo.transaction(fn ->
        try do
          on_primary(repo, name)
        rescue
          error in EctoLiteFS.Error -> {error.reason, error.action}
        end
      end, read_only: true)

    got
  end

  @doc "What a process dictionary has on the primary, and here afterwards."
  def context(repo, name) do
    Process.put(:tenant, prefix: nil, tenant: name)
    Logger.metadata(request_id: name)
    Process.put(:"$callers", [self()])
    Process.put(:not_asked_for, true)

    there =
      EctoLiteFS.run_on_primary(repo, fn ->
        seen = {Logger.metadata()[:request_id], Process.get(:"$callers"),
                Process.get(:not_asked_for)}
        Logger.metadata(request_id: "changed there")
        seen
      end)

    {there, Logger.metadata()[:request_id], self()}
  end

  @doc "Each with what only this VM has."
  def unportable(repo, :ets) do
    table = :ets.new(:unportable, [])
    repo.transaction(fn -> :ets.info(table) end)
  end

  def unportable(repo, :port) do
    [port | _] = Port.list()
    EctoLiteFS.run_on_primary(repo, fn -> Port.info(port) end)
  end

  def unportable(repo, :atomics) do
    ref = :atomics.new(1, [])
    repo.insert(%Item{name: "atomics"}, log_with: ref)
  end
end
