defmodule RealEcto.WithoutHex do
  @moduledoc """
  Lets Mix read `{app, requirement}` where Hex is not installed.

  Mix asks who can fetch a dependency before it looks whether the top project
  overrides it with a path, so that one Hex-style line in a checkout's own
  mix.exs stops it. This source of nothing answers for those lines; what no
  checkout overrides is then reported as missing, by name.
  """
  @behaviour Mix.SCM

  def install do
    if hex?(), do: :ok, else: Mix.SCM.append(__MODULE__)
  end

  defp hex? do
    Code.ensure_loaded?(Hex) or
      Path.wildcard(Path.join(Mix.path_for(:archives), "hex-*")) != []
  end

  @impl true
  def fetchable?, do: false

  @impl true
  def accepts_options(app, opts) do
    Keyword.merge([dest: Path.join(Mix.Project.deps_path(), "#{app}")], opts)
  end

  @impl true
  def format(_opts), do: "no Hex here"

  @impl true
  def format_lock(_opts), do: nil

  @impl true
  def checked_out?(_opts), do: false

  @impl true
  def checkout(opts), do: Mix.raise("no Hex and no checkout for #{opts[:dest]}")

  @impl true
  def update(opts), do: checkout(opts)

  @impl true
  def lock_status(_opts), do: :ok

  @impl true
  def equal?(_one, _other), do: true

  @impl true
  def managers(_opts), do: []
end

RealEcto.WithoutHex.install()
