defmodule RealEcto.Item do
  use Ecto.Schema
  import Ecto.Changeset

  schema "items" do
    field :name, :string
    field :value, :integer
    field :lock_version, :integer, default: 1
    # filled in by Repo.insert itself, hence on the node that runs it
    field :written_on, :string, autogenerate: {__MODULE__, :here, []}
    field :prepared_on, :string
    has_many :parts, RealEcto.Part
  end

  def here, do: Atom.to_string(node())

  @doc "A changeset that does not know of the unique index."
  def changeset(item \\ %__MODULE__{}, params) do
    item |> cast(params, [:name, :value]) |> validate_required([:name])
  end

  def unique(changeset), do: unique_constraint(changeset, :name)

  def with_parts(changeset), do: cast_assoc(changeset, :parts)

  def locked(changeset), do: optimistic_lock(changeset, :lock_version)

  @doc "Notes where it was prepared, and writes a part in the same transaction."
  def counted(changeset) do
    prepare_changes(changeset, fn prepared ->
      prepared.repo.insert!(%RealEcto.Part{
        label: "count of #{get_field(prepared, :name)}"
      })

      put_change(prepared, :prepared_on, here())
    end)
  end
end
