defmodule Stub.Telemetry.MixProject do
  use Mix.Project

  def project, do: [app: :telemetry, version: "0.0.0"]
end
