defmodule Demo.MixProject do
  use Mix.Project

  def project do
    [
      app: :demo,
      version: "0.0.0",
      elixir: "~> 1.14",
      deps: [{:ecto_litefs, path: "../.."} | stubs()],
      elixirc_options: [warnings_as_errors: true]
    ]
  end

  def application do
    [extra_applications: [:logger], mod: {Demo.Application, []}]
  end

  # The library's Hex packages are optional applications, and the tests run
  # without them. `mix release` of Elixir 1.14 knows nothing of optional
  # applications and wants each of them to be there; these are empty.
  defp stubs do
    for app <- [:ecto_sql, :ecto_middleware, :telemetry] do
      {app, path: "stubs/#{app}", only: :prod}
    end
  end
end
