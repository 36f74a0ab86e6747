Code.require_file("without_hex.exs", __DIR__)

defmodule RealEcto.MixProject do
  use Mix.Project

  def project do
    [
      app: :real_ecto,
      version: "0.0.0",
      elixir: "~> 1.14",
      deps: deps(),
      elixirc_paths:
        if(Mix.env() == :test, do: ["lib", "test/support"], else: ["lib"]),
      elixirc_options: [warnings_as_errors: true],
      # what the suites with the stand-ins use, too
      erlc_paths:
        if(Mix.env() == :test, do: ["../shared", "../contract"], else: []),
      # A lock would pin either the Hex packages or nothing (checkouts have
      # none), so the same tree would be dirty on one of two machines.
      lockfile: "_build/mix.lock"
    ]
  end

  def application do
    [extra_applications: [:logger], mod: {RealEcto.Application, []}]
  end

  defp deps do
    [
      {:ecto_litefs, path: "../.."},
      dep(:ecto_sql, "~> 3.12"),
      dep(:ecto_sqlite3, "~> 0.17"),
      dep(:ecto_middleware, "~> 2.1"),
      dep(:telemetry, "~> 1.0")
    ] ++
      checked_out([
        :ecto,
        :exqlite,
        :db_connection,
        :decimal,
        :elixir_make,
        :cc_precompiler
      ])
  end

  # As ecto_sql does with ECTO_PATH: a checkout named in the environment
  # stands in for the package, here and below every other package.
  defp dep(app, requirement) do
    case checkout(app) do
      nil -> {app, requirement}
      path -> {app, path: path, override: true}
    end
  end

  defp checked_out(apps) do
    for app <- apps, path = checkout(app), do: {app, path: path, override: true}
  end

  defp checkout(app), do: System.get_env(String.upcase("#{app}_PATH"))
end
