defmodule RealEcto do
  @moduledoc """
  An application as a user of ecto_litefs writes one, with the real Ecto.

  The Repos differ in their middleware lists: `Repo` is the README's,
  `StackedRepo` has others on both sides of ours, `LeadingRepo` behind ours
  only, `BareRepo` has none; `FullRepo` has `use EctoLiteFS.Repo`. The Repos of
  the contract are in `RealEcto.Contract`.
  """
end
