defmodule RealEcto.Repo do
  use Ecto.Repo, otp_app: :real_ecto, adapter: Ecto.Adapters.SQLite3
  use EctoMiddleware.Repo

  @impl EctoMiddleware.Repo
  def middleware(_action, _resource) do
    [EctoLiteFS.Middleware]
  end
end

defmodule RealEcto.StackedRepo do
  use Ecto.Repo, otp_app: :real_ecto, adapter: Ecto.Adapters.SQLite3
  use EctoMiddleware.Repo

  @impl EctoMiddleware.Repo
  def middleware(_action, _resource) do
    [RealEcto.Trace.Outer, EctoLiteFS.Middleware, RealEcto.Trace.Inner]
  end
end

defmodule RealEcto.LeadingRepo do
  use Ecto.Repo, otp_app: :real_ecto, adapter: Ecto.Adapters.SQLite3
  use EctoMiddleware.Repo

  @impl EctoMiddleware.Repo
  def middleware(_action, _resource) do
    [EctoLiteFS.Middleware, RealEcto.Trace.Inner]
  end
end

defmodule RealEcto.BareRepo do
  use Ecto.Repo, otp_app: :real_ecto, adapter: Ecto.Adapters.SQLite3
end

defmodule RealEcto.FullRepo do
  @moduledoc "With the line that sends transactions and SQL to the primary, too."
  use Ecto.Repo, otp_app: :real_ecto, adapter: Ecto.Adapters.SQLite3
  use EctoMiddleware.Repo
  use EctoLiteFS.Repo

  @impl EctoMiddleware.Repo
  def middleware(_action, _resource) do
    [EctoLiteFS.Middleware]
  end

  # a tenant, as Ecto's guides have it
  @impl Ecto.Repo
  def default_options(_operation) do
    Process.get(:tenant, [])
  end

  # an override of the user's own still reaches ours
  @impl Ecto.Repo
  def transaction(work, opts) do
    RealEcto.Trace.note({:transaction, node()})
    super(work, opts)
  end
end
