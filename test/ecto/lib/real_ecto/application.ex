defmodule RealEcto.Application do
  @moduledoc """
  The quick start of the README: each Repo, and after it the supervisor of
  ecto_litefs with options that come from the environment, as
  `{repo, options | nil}` (nil: no supervisor). The node that runs the tests
  has none of them.
  """
  use Application

  @impl true
  def start(_type, _args) do
    repos = Application.get_env(:real_ecto, :repos, [])
    children = [RealEcto.Trace | Enum.flat_map(repos, &repo/1)]

    Supervisor.start_link(children,
      strategy: :one_for_one,
      name: RealEcto.Supervisor
    )
  end

  defp repo({repo, nil}), do: [repo]

  defp repo({repo, options}) do
    litefs = {EctoLiteFS.Supervisor, [repo: repo] ++ options}
    [repo, Supervisor.child_spec(litefs, id: {EctoLiteFS.Supervisor, repo})]
  end
end
