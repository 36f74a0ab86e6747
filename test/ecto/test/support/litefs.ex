defmodule RealEcto.LiteFS do
  @moduledoc """
  Real LiteFS processes for a test: one with the static lease, the others its
  replicas. Available where `make e2e` has built LiteFS, or LITEFS names it.
  """

  @built Path.expand("../../../../e2e/litefs/bin/litefs", __DIR__)

  def binary do
    path = System.get_env("LITEFS", @built)
    if File.regular?(path) and writable?("/dev/fuse"), do: path
  end

  defp writable?(path),
    do: match?({:ok, %{access: :read_write}}, File.stat(path))

  @doc "Makes the directories; LiteFS does not run yet."
  def new(name, dir, primary \\ nil) do
    home = Path.join(dir, "#{name}")
    port = free_port()
    node = %{home: home, mount: Path.join(home, "mnt"), port: port}
    File.mkdir_p!(node.mount)

    File.write!(Path.join(home, "litefs.yml"), """
    fuse:
      dir: "#{node.mount}"
    data:
      dir: "#{home}/data"
    http:
      addr: "127.0.0.1:#{port}"
    lease:
      type: "static"
      hostname: "primary.example"
      advertise-url: "http://127.0.0.1:#{(primary || node).port}"
      candidate: #{is_nil(primary)}
    """)

    node
  end

  # The shell ends LiteFS when this VM ends, whatever ends it.
  @guard """
  "$1" mount -config "$2/litefs.yml" >>"$2/litefs.log" 2>&1 </dev/null &
  read -r _
  kill $!
  wait $!
  fusermount3 -uz "$2/mnt" 2>/dev/null
  """

  @doc "Returns when LiteFS answers."
  def start(node) do
    args = ["-c", @guard, "sh", binary(), node.home]
    port = Port.open({:spawn_executable, "/bin/sh"}, [:exit_status, args: args])

    RealEcto.Cluster.wait("LiteFS answers", fn ->
      File.exists?(node.mount) and answers?(node)
    end)

    port
  end

  @doc "SIGTERM, then what is still mounted is taken away."
  def stop(port) do
    Port.command(port, "stop\n")

    receive do
      {^port, {:exit_status, _}} -> :ok
    after
      10_000 -> raise "LiteFS did not end"
    end
  end

  defp answers?(node) do
    with {:ok, socket} <- connect(node.port),
         :ok <- :gen_tcp.send(socket, "GET /info HTTP/1.0\r\n\r\n"),
         {:ok, "HTTP/1." <> <<_::binary-size(2), "200", _::binary>>} <-
           :gen_tcp.recv(socket, 0, 1_000) do
      :gen_tcp.close(socket) == :ok
    else
      {:error, _not_yet} -> false
    end
  end

  defp connect(port),
    do: :gen_tcp.connect({127, 0, 0, 1}, port, [:binary, active: false], 1_000)

  defp free_port do
    {:ok, socket} = :gen_tcp.listen(0, ip: {127, 0, 0, 1})
    {:ok, port} = :inet.port(socket)
    :ok = :gen_tcp.close(socket)
    port
  end
end
