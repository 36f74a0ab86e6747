defmodule RealEcto.Part do
  use Ecto.Schema

  schema "parts" do
    field :label, :string
    field :written_on, :string, autogenerate: {RealEcto.Item, :here, []}
    belongs_to :item, RealEcto.Item
  end

  # parts_label_index is not declared here: breaking it raises
  def changeset(part, params), do: Ecto.Changeset.cast(part, params, [:label])
end
