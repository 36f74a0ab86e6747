defmodule RealEcto.Contract do
  @moduledoc """
  Runs the cases of `test/contract/cases.terms`, which drive the stand-ins of
  the Erlang tests too, against the real Ecto. The header of that file says
  what every word of a case means.

  Each state of the caller (`Where` in the table) has a Repo of its own, so
  that nothing said for one is remembered for another.
  """
  alias RealEcto.{Cluster, Item}
  alias RealEcto.Contract.Here

  @wheres [
    :primary,
    :no_litefs,
    :no_supervisor,
    :replica,
    :no_primary,
    :unreachable,
    :slow,
    :narrow
  ]

  for where <- @wheres do
    defmodule Module.concat(__MODULE__, Macro.camelize("#{where}_repo")) do
      use Ecto.Repo, otp_app: :real_ecto, adapter: Ecto.Adapters.SQLite3
      use EctoMiddleware.Repo

      @impl EctoMiddleware.Repo
      def middleware(_action, _resource) do
        Application.get_env(:real_ecto, :middleware, [EctoLiteFS.Middleware])
      end
    end
  end

  def cases(file) do
    {:ok, cases} = :file.consult(file)
    cases
  end

  def repo({:in_transaction, where}), do: repo(where)

  def repo(where),
    do: Module.concat(__MODULE__, Macro.camelize("#{where}_repo"))

  @doc "The two nodes of all cases; every Repo has a database on each."
  def start do
    dir = Cluster.directory("contract")
    members = for name <- [:primary, :caller], do: {name, start(name, dir)}
    Map.new(members)
  end

  defp start(name, dir) do
    member =
      Cluster.start(name, dir, fn home ->
        Enum.map(@wheres, &configured(&1, home))
      end)

    Enum.each(@wheres, &Cluster.migrate(member, repo(&1)))
    member
  end

  defp configured(where, home) do
    {repo(where),
     [
       database: Path.join(home, "#{where}.db"),
       pool_size: 2,
       journal_mode: :delete
     ], litefs(where, home)}
  end

  defp litefs(:no_supervisor, _home), do: nil

  defp litefs(where, home) do
    timeout = if where == :slow, do: 300, else: 15_000

    [
      primary_file: Path.join(home, ".primary"),
      event_stream_url: nil,
      primary_wait: 0,
      erpc_timeout: timeout
    ] ++ if(where == :narrow, do: [max_forward_bytes: 16], else: [])
  end

  @doc "Runs one case and answers what is to be compared with `Expected`."
  def run({_name, where, action, input, expected}, nodes) do
    repo = repo(where)
    Enum.each(nodes, fn {_, member} -> on(member, :reset, [repo]) end)
    {resource, modifiers} = prepare(repo, input, nodes)
    roles(where, repo, nodes)

    ask = %{
      repo: repo,
      action: action,
      in_transaction: match?({:in_transaction, _}, where)
    }

    {got, mailbox} = on(nodes.caller, :call, [ask, resource, modifiers])
    if where == :slow, do: on(nodes.primary, :await_hook, [])

    Map.merge(seen(expected, repo, nodes), %{result: got, mailbox: mailbox})
  end

  defp on(member, fun, args), do: Cluster.on(member, Here, fun, args)

  # Roles, as somebody says them by hand.

  defp roles({:in_transaction, where}, repo, nodes),
    do: roles(where, repo, nodes)

  defp roles(where, repo, nodes) when where in [:replica, :slow, :narrow] do
    :ok =
      Cluster.on(nodes.primary, EctoLiteFS, :set_primary, [
        repo,
        nodes.primary.node
      ])

    :ok =
      Cluster.on(nodes.caller, EctoLiteFS, :set_primary, [
        repo,
        nodes.primary.node
      ])
  end

  defp roles(:primary, repo, nodes),
    do:
      :ok =
        Cluster.on(nodes.caller, EctoLiteFS, :set_primary, [
          repo,
          nodes.caller.node
        ])

  defp roles(:unreachable, repo, nodes),
    do:
      :ok =
        Cluster.on(nodes.caller, EctoLiteFS, :set_primary, [
          repo,
          :"nobody@127.0.0.1"
        ])

  defp roles(:no_primary, repo, nodes) do
    for {_, member} <- nodes,
        do: :ok = Cluster.on(member, EctoLiteFS, :set_replica, [repo])
  end

  defp roles(_no_litefs_or_no_supervisor, _repo, _nodes), do: :ok

  # What a case wants in the databases and in the middleware list.

  defp prepare(repo, {resource, modifiers}, nodes) do
    for name <- seeded(resource), do: seed(repo, name, nodes)
    resource = read(repo, resource, nodes)

    for {:seed, name} <- modifiers, do: seed(repo, name, nodes)

    for {:seed_primary, name} <- modifiers,
        do: on(nodes.primary, :seed, [repo, name])

    for {:middleware, list} <- modifiers, {_, member} <- nodes do
      on(member, :middleware, [list])
    end

    {resource, modifiers}
  end

  defp seed(repo, name, nodes) do
    Enum.each(nodes, fn {_, member} -> on(member, :seed, [repo, name]) end)
  end

  defp seeded({kind, name, _params}) when kind in [:stored, :gone, :named],
    do: [name]

  defp seeded({kind, name})
       when kind in [:stored_struct, :gone_struct, :named],
       do: [name]

  defp seeded(_), do: []

  # Read with the usual middleware, and before the row goes.
  defp read(repo, resource, nodes) do
    got = on(nodes.caller, :resource, [repo, resource])

    if is_tuple(resource) and elem(resource, 0) in [:gone, :gone_struct] do
      Enum.each(nodes, fn {_, member} -> on(member, :clear, [repo]) end)
    end

    got
  end

  defp seen(expected, repo, nodes) do
    rows =
      for side <- [:primary, :caller], is_map_key(expected, side), into: %{} do
        {side, on(nodes[side], :rows, [repo])}
      end

    counts =
      for {side, _} <- expected[:counts] || %{},
          into: %{},
          do: {side, on(nodes[side], :count, [])}

    if is_map_key(expected, :counts),
      do: Map.put(rows, :counts, counts),
      else: rows
  end

  @doc "Says whether a result is the expected one; the names are the table's."
  def match?({:ok, fields}, {:gave, {:ok, struct}}, names),
    do: fields?(struct, fields, names)

  def match?({:struct, fields}, {:gave, %Item{} = item}, names),
    do: fields?(item, fields, names)

  def match?(
        {:invalid, field, text},
        {:gave, {:error, %Ecto.Changeset{} = changeset}},
        _names
      ) do
    match?({^text, _}, changeset.errors[field])
  end

  def match?({:error, reason}, {:gave, {:error, got}}, names),
    do: named(reason, names) == sized(got)

  def match?({:count, count, nil}, {:gave, got}, _names),
    do: got == {count, nil}

  def match?({:count, count, rows}, {:gave, {count, items}}, names)
      when is_list(items) and length(items) == length(rows) do
    [items, rows]
    |> Enum.zip()
    |> Enum.all?(fn {item, row} -> fields?(item, row, names) end)
  end

  def match?({:raises, module, fields}, {:error, exception}, names) do
    is_struct(exception, module) and fields?(exception, fields, names)
  end

  def match?({:exits, reason}, {:exit, got}, _names), do: reason == got
  def match?({:throws, value}, {:throw, got}, _names), do: value == got

  def match?({:names, wanted}, {:gave, items}, _names) when is_list(items) do
    wanted == items |> Enum.map(& &1.name) |> Enum.sort()
  end

  def match?(_wanted, _got, _names), do: false

  defp fields?(struct, fields, names) do
    Enum.all?(fields, fn {field, value} ->
      sized(Map.get(struct, field)) == named(value, names)
    end)
  end

  # How large a struct is, is no part of the contract.
  defp sized({:payload_too_large, size, max}) when size > max,
    do: {:payload_too_large, :size, max}

  defp sized(other), do: other

  defp named(:primary_node, names), do: names.primary_node
  defp named(:repo, names), do: names.repo

  defp named(tuple, names) when is_tuple(tuple) do
    tuple |> Tuple.to_list() |> Enum.map(&named(&1, names)) |> List.to_tuple()
  end

  defp named(other, _names), do: other
end
