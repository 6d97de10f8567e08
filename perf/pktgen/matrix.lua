-- The harness's matrix for Pktgen-DPDK, as a generator before a real NIC: one row after another, each for a minute.
-- Start: pktgen -l 0-4 -n 4 -- -P -m "[1-4].0" -f matrix.lua
-- Set ROW to measure a single one, and DUT to the MAC of the director's port.
package.path = package.path .. ";?.lua;test/?.lua;app/?.lua;../?.lua"
require "Pktgen"

local port = "0"
local dut = os.getenv("DUT") or "02:dd:00:00:00:01"
local seconds = 60

-- clients: addresses in the range; L4 ports: those of each. Pktgen steps through both at the same time, so the number of
-- flows is their least common multiple.
local rows = {
  { name = "flows-1", clients = 1, ports = 1, size = 64, vips = 1 },
  { name = "flows-1000", clients = 1000, ports = 1, size = 64, vips = 1 },
  { name = "S2", clients = 256, ports = 257, size = 64, vips = 1 },
  { name = "S3", clients = 1024, ports = 1023, size = 64, vips = 1 },
  { name = "S4", clients = 3163, ports = 3162, size = 64, vips = 1 },
  { name = "services-100", clients = 1024, ports = 1023, size = 64, vips = 100 },
  { name = "services-1000", clients = 1024, ports = 1023, size = 64, vips = 1000 },
  { name = "frames-1518", clients = 1024, ports = 1023, size = 1518, vips = 1 },
}

local function address(base, n)
  return string.format("%s.%d.%d", base, math.floor(n / 256), n % 256)
end

-- flags: S opens every flow first, A keeps it.
local function set_up(row, flags)
  pktgen.range.dst_mac(port, "start", dut)
  pktgen.range.ip_proto(port, "tcp")
  pktgen.range.src_ip(port, "start", "10.0.0.1")
  pktgen.range.src_ip(port, "inc", "0.0.0.1")
  pktgen.range.src_ip(port, "min", "10.0.0.1")
  pktgen.range.src_ip(port, "max", address("10.0", row.clients))
  pktgen.range.dst_ip(port, "start", "198.18.0.1")
  pktgen.range.dst_ip(port, "inc", row.vips > 1 and "0.0.0.1" or "0.0.0.0")
  pktgen.range.dst_ip(port, "min", "198.18.0.1")
  pktgen.range.dst_ip(port, "max", address("198.18", row.vips))
  pktgen.range.src_port(port, "start", 1024)
  pktgen.range.src_port(port, "inc", row.ports > 1 and 1 or 0)
  pktgen.range.src_port(port, "min", 1024)
  pktgen.range.src_port(port, "max", 1024 + row.ports - 1)
  pktgen.range.dst_port(port, "start", 80)
  pktgen.range.dst_port(port, "inc", 0)
  pktgen.range.dst_port(port, "min", 80)
  pktgen.range.dst_port(port, "max", 80)
  pktgen.range.tcp_flag(port, "set", flags)
  pktgen.range.pkt_size(port, "start", row.size)
  pktgen.range.pkt_size(port, "inc", 0)
  pktgen.set_range(port, "on")
end

local function send(row, flags, time)
  set_up(row, flags)
  pktgen.clr()
  pktgen.start(port)
  pktgen.delay(time * 1000)
  local rates = pktgen.portStats(port, "rate")[tonumber(port)]
  pktgen.stop(port)
  return rates
end

for _, row in ipairs(rows) do
  if not os.getenv("ROW") or os.getenv("ROW") == row.name then
    send(row, "syn", 5)
    local rates = send(row, "ack", seconds)
    print(string.format("%s: sent %d, received %d packets a second", row.name, rates.pkts_tx, rates.pkts_rx))
  end
end
