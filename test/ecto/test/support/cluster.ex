defmodule RealEcto.Cluster do
  @moduledoc "Peer nodes that run the application, on the loopback."

  @doc "A new directory of that name below the build directory."
  def directory(name) do
    dir = Path.expand("tmp/#{name}", Mix.Project.build_path())
    File.rm_rf!(dir)
    File.mkdir_p!(dir)
    dir
  end

  @doc """
  Starts a node and the application on it. The function gets the node's own
  directory and answers `[{repo, repo_config, litefs_options | nil}]`. The
  arguments are further ones for `erl`.
  """
  def start(name, dir, repos, args \\ []) do
    {:ok, peer, node} =
      :peer.start_link(%{
        name: :"#{name}_#{System.unique_integer([:positive])}_#{System.pid()}",
        host: '127.0.0.1',
        longnames: true,
        args: [
          '-setcookie',
          ~c"#{Node.get_cookie()}",
          '-connect_all',
          'false' | args
        ]
      })

    member = %{node: node, peer: peer, dir: Path.join(dir, "#{name}")}
    File.mkdir_p!(member.dir)
    on(member, :code, :add_pathsa, [:code.get_path()])
    configure(member, repos.(member.dir))
    {:ok, _} = on(member, Application, :ensure_all_started, [:real_ecto])
    member
  end

  defp configure(member, repos) do
    on(member, Application, :put_env, [:logger, :level, :warning])

    for {repo, config, _litefs} <- repos do
      on(member, Application, :put_env, [
        :real_ecto,
        repo,
        [log: false] ++ config
      ])
    end

    with_litefs = for {repo, _config, litefs} <- repos, do: {repo, litefs}
    on(member, Application, :put_env, [:real_ecto, :repos, with_litefs])
  end

  @doc "Connects two members, as libcluster does for an application."
  def connect(one, other),
    do: true = on(one, :net_kernel, :connect_node, [other.node])

  @doc "Calls a function on a member; what it raises is raised here."
  def on(member, module, fun, args),
    do: :erpc.call(member.node, module, fun, args, 60_000)

  def stop(member), do: :peer.stop(member.peer)

  @doc "Returns when the condition holds; raises after 10 seconds."
  def wait(what, condition, tries \\ 1_000) do
    cond do
      condition.() -> :ok
      tries == 0 -> raise "not within 10 seconds: #{what}"
      true -> Process.sleep(10) && wait(what, condition, tries - 1)
    end
  end

  @doc "Runs the migration on a member, as a release task would."
  def migrate(member, repo),
    do:
      :ok =
        on(member, Ecto.Migrator, :up, [
          repo,
          1,
          RealEcto.Migration,
          [log: false]
        ])
end
