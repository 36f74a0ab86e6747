defmodule RealEcto.Pair do
  @moduledoc """
  A primary and a replica on one SQLite file (`mount: :plain`, no event
  stream): a node is a replica while its own directory has a `.primary`.

  The replica opens the database read-only, so that a write which stays there
  fails as it does on LiteFS.
  """
  alias RealEcto.{Cluster, FullRepo, LeadingRepo, Repo, StackedRepo}

  @repos [Repo, StackedRepo, LeadingRepo, FullRepo]

  def start(name, options \\ []) do
    dir = Cluster.directory(name)
    primary = Cluster.start(:primary, dir, &repos(&1, dir, :readwrite, options))
    Cluster.migrate(primary, Repo)

    mode = Keyword.get(options, :replica_mode, :readonly)

    replica =
      Cluster.start(:replica, dir, &replica_repos(&1, dir, mode, options))

    Cluster.connect(replica, primary)
    for repo <- @repos, do: await_primary(replica, repo, primary)
    %{primary: primary, replica: replica}
  end

  defp replica_repos(home, dir, mode, options) do
    demote(home)
    repos(home, dir, mode, options)
  end

  defp repos(home, dir, mode, options) do
    config = [
      database: Path.join(dir, "shared.db"),
      mode: mode,
      pool_size: 2,
      # two writers at once: the loser tries again and again, and on a slow
      # disk it might do so for very long
      busy_timeout: 20_000,
      synchronous: :off,
      journal_mode: :delete
    ]

    litefs = [
      primary_file: Path.join(home, ".primary"),
      mount: :plain,
      event_stream_url: nil,
      poll_interval: 50,
      primary_wait: Keyword.get(options, :primary_wait, 5_000)
    ]

    for repo <- @repos, do: {repo, config, litefs}
  end

  @doc """
  Waits until a node has heard of the primary. A claim travels for some
  milliseconds, and without LiteFS a write does not wait for one.
  """
  def await_primary(member, repo, primary) do
    known = {:ok, primary.node}

    Cluster.wait("#{member.node} knows the primary of #{repo}", fn ->
      Cluster.on(member, EctoLiteFS, :get_primary, [repo]) == known
    end)
  end

  @doc "What LiteFS does in a node's directory when the node is (not) primary."
  def promote(home), do: File.rm!(Path.join(home, ".primary"))

  def demote(home),
    do: File.write!(Path.join(home, ".primary"), "primary.example\n")
end
