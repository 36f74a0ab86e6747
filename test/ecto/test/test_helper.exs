# The peer nodes and this one speak over the loopback only.
{_, 0} = System.cmd("epmd", ["-daemon"])
{:ok, _} = Node.start(:"real_ecto_#{System.pid()}@127.0.0.1", :longnames)
Node.set_cookie(:"real_ecto_#{System.pid()}")

ExUnit.after_suite(fn %{
                        total: total,
                        failures: failed,
                        skipped: skipped,
                        excluded: excluded
                      } ->
  skipped = skipped + excluded

  IO.puts(
    "#{total - failed - skipped} passed, #{failed} failed, #{skipped} skipped"
  )
end)

exclude =
  if RealEcto.LiteFS.binary() do
    []
  else
    IO.puts("skipped: no LiteFS (make e2e builds it; it needs /dev/fuse)")
    [:litefs]
  end

ExUnit.start(capture_log: true, exclude: exclude)
