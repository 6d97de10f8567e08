"""The harness's matrix as a stateless TRex profile: start -f matrix.py -m 100% -t row=S3,dut=02:dd:00:00:00:01

Every row is a stream of ACKs over all flows, and a stream that sends each flow's SYN once before it.
"""
import argparse

from trex_stl_lib.api import (
    STLFlowVarRepeatableRandom, STLPktBuilder, STLProfile, STLScVmRaw, STLStream, STLTXCont, STLTXSingleBurst,
    STLVmFixIpv4, STLVmTupleGen, STLVmWrFlowVar, Ether, IP, TCP)

# flows, frame length with the checksum, VIPs, whether every packet opens a new flow
ROWS = {
    "flows-1": (1, 64, 1, False), "flows-1000": (1000, 64, 1, False), "S2": (1 << 16, 64, 1, False), "S3": (1 << 20, 64, 1, False),
    "S4": (10_000_000, 64, 1, False), "S5": (1 << 32, 64, 1, True), "services-100": (1 << 20, 64, 100, False),
    "services-1000": (1 << 20, 64, 1000, False), "frames-1518": (1 << 20, 1518, 1, False),
}
IMIX = ((64, 7), (570, 4), (1518, 1))
PORTS = 1000  # of each client


def frame(length, flags, dut):
    headers = Ether(dst=dut) / IP(src="10.0.0.1", dst="198.18.0.1") / TCP(sport=1024, dport=80, flags=flags)
    return headers / (b"\0" * max(0, length - 4 - len(headers)))


def engine(flows, vips):
    ports = min(PORTS, flows)
    last = 0x0a000001 + max(1, min(flows // ports, 1 << 24)) - 1
    steps = [
        STLVmTupleGen(ip_min="10.0.0.1", ip_max=".".join(str(last >> s & 255) for s in (24, 16, 8, 0)),
                      port_min=1024, port_max=1024 + ports - 1, name="tuple"),
        STLVmWrFlowVar(fv_name="tuple.ip", pkt_offset="IP.src"),
        STLVmWrFlowVar(fv_name="tuple.port", pkt_offset="TCP.sport"),
    ]
    if vips > 1:
        steps += [STLFlowVarRepeatableRandom("vip", min_value=1, max_value=vips, size=2, limit=vips),
                  STLVmWrFlowVar(fv_name="vip", pkt_offset="IP.dst", offset_fixup=2)]
    return STLScVmRaw(steps + [STLVmFixIpv4(offset="IP")])


def stream(length, flags, dut, flows, vips, **kwargs):
    return STLStream(packet=STLPktBuilder(pkt=frame(length, flags, dut), vm=engine(flows, vips)), **kwargs)


class Matrix:
    def get_streams(self, tunables=(), **kwargs):
        parser = argparse.ArgumentParser()
        parser.add_argument("--row", default="S3", choices=[*ROWS, "imix"])
        parser.add_argument("--dut", default="02:dd:00:00:00:01")
        args = parser.parse_args(tunables)
        if args.row == "imix":
            return STLProfile([stream(length, "A", args.dut, 1 << 20, 1, mode=STLTXCont(pps=share)) for length, share in IMIX]).get_streams()
        flows, length, vips, new = ROWS[args.row]
        if new:
            return STLProfile([stream(length, "S", args.dut, flows, vips, mode=STLTXCont())]).get_streams()
        opening = stream(length, "S", args.dut, flows, vips, name="open", next="keep", mode=STLTXSingleBurst(total_pkts=flows, percentage=20))
        keeping = stream(length, "A", args.dut, flows, vips, name="keep", self_start=False, mode=STLTXCont(percentage=100))
        return STLProfile([opening, keeping]).get_streams()


def register():
    return Matrix()
