defmodule RealEcto.Migration do
  use Ecto.Migration

  def change do
    create table(:items) do
      add(:name, :string, null: false)
      add(:value, :integer)
      add(:lock_version, :integer)
      add(:written_on, :string)
      add(:prepared_on, :string)
    end

    create(unique_index(:items, [:name]))

    create table(:parts) do
      add(:label, :string)
      add(:written_on, :string)
      add(:item_id, references(:items))
    end

    create(unique_index(:parts, [:label]))
  end
end
