defmodule Stub.EctoSQL.MixProject do
  use Mix.Project

  def project, do: [app: :ecto_sql, version: "0.0.0"]
end
