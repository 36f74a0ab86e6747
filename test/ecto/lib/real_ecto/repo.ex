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
