defmodule Stub.EctoMiddleware.MixProject do
  use Mix.Project

  def project, do: [app: :ecto_middleware, version: "0.0.0"]
end
