defmodule RealEcto.Contract.Words do
  @moduledoc "The words of the contract for the real Ecto, on one of the nodes."
  @behaviour :ecto_litefs_contract_world

  import Ecto.Query, only: [from: 2]
  alias RealEcto.{Item, Trace}
  alias RealEcto.Contract.{Count, CountAll, HookedItem, Rename}

  @impl true
  def item(fields), do: struct!(Item, fields)

  @impl true
  def stored(repo, name), do: repo.get_by!(Item, name: name)

  @impl true
  def changeset(item, params), do: Item.changeset(item, params)

  @impl true
  def unique(changeset), do: Item.unique(changeset)

  @impl true
  def prepare(changeset, fun),
    do: Ecto.Changeset.prepare_changes(changeset, fun)

  @impl true
  def table, do: Item

  @impl true
  def rows([%{name: name} | _] = rows), do: [schema(name), rows]

  @impl true
  def named(name), do: from(i in schema(name), where: i.name == ^name)

  defp schema({_name, _fun}), do: HookedItem
  defp schema(_name), do: Item

  @impl true
  def select(query), do: from(i in query, select: i)

  @impl true
  def hooked(name, fun), do: {name, fun}

  @impl true
  def checkout(repo, fun), do: repo.checkout(fun)

  @impl true
  def set_middleware(_repo, names) do
    modules = %{
      us: EctoLiteFS.Middleware,
      count: Count,
      count_all: CountAll,
      rename: Rename
    }

    list = Enum.map(names, &Map.fetch!(modules, &1))
    Application.put_env(:real_ecto, :middleware, list)
  end

  @impl true
  def reset_count do
    Trace.taken()
    :ok
  end

  @impl true
  def count, do: Enum.count(Trace.taken(), &(&1 == :counted))
end

defmodule RealEcto.Contract.HookedName do
  use Ecto.Type

  @impl true
  def type, do: :string

  @impl true
  def cast(name), do: {:ok, name}

  @impl true
  def load(name), do: {:ok, name}

  @impl true
  def dump({name, fun}) do
    fun.()
    {:ok, name}
  end
end

defmodule RealEcto.Contract.HookedItem do
  @moduledoc "The items, with a name that may run code where Ecto dumps it."
  use Ecto.Schema

  schema "items" do
    field :name, RealEcto.Contract.HookedName
    field :value, :integer
  end
end

defmodule RealEcto.Contract.Count do
  use EctoMiddleware

  @impl EctoMiddleware
  def process_before(resource, _resolution) do
    RealEcto.Trace.note(:counted)
    {:cont, resource}
  end
end

defmodule RealEcto.Contract.CountAll do
  use EctoMiddleware, bulk_operations: true

  @impl EctoMiddleware
  def process_before(resource, _resolution) do
    RealEcto.Trace.note(:counted)
    {:cont, resource}
  end
end

defmodule RealEcto.Contract.Rename do
  use EctoMiddleware

  @impl EctoMiddleware
  def process_before(changeset, _resolution) do
    RealEcto.Trace.note(:counted)
    name = Ecto.Changeset.get_field(changeset, :name)
    {:cont, Ecto.Changeset.put_change(changeset, :name, name <> "!")}
  end
end
