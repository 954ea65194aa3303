#include "net/nccl.hpp"

#include <catch2/catch.hpp>

#include <cmath>

using namespace moeline;
using Catch::WithinRel;

namespace {

constexpr BytesPerSecond kLink = 450.0 * gigabyte_per_second;

NcclFit round_fit() {
  NcclFit fit;
  fit.low_launch = 4 * microsecond;
  fit.low_hop = 1 * microsecond;
  fit.low_link = 0.2;
  fit.simple_floor = 15 * microsecond;
  fit.simple_hop = 1 * microsecond;
  fit.simple_link = 0.8;
  fit.own_copy = 0.5;
  fit.switch_floor = 70 * microsecond;
  fit.switch_link = 0.6;
  fit.exchange_low = 6 * microsecond;
  fit.exchange_low_byte = 1 * second / (7.0 * gigabyte);
  fit.exchange_floor = 12 * microsecond;
  fit.exchange_link = 0.8;
  return fit;
}

NvlinkCollective collective(CollectiveKind kind, double bytes, double ranks,
                            NvlinkReduction reduction = NvlinkReduction::ring) {
  return {kind, bytes * byte, ranks, kLink, reduction};
}

}  // namespace

TEST_CASE("a large all-gather moves its ring steps and its own copy at the share of the link", "[unit]") {
  const NcclTerms terms = nccl_terms(collective(CollectiveKind::all_gather, 1e9, 8), round_fit());
  CHECK(terms.protocol == NcclProtocol::simple);
  REQUIRE_THAT(terms.volume.in(byte), WithinRel(125e6 * (7 + 0.5), 1e-12));        // chunk 1 GB / 8
  REQUIRE_THAT(terms.transfer.in(microsecond), WithinRel(937.5e6 / 360e3, 1e-12));  // 0.8 of 450 GB/s: 2,604 us
  REQUIRE_THAT(terms.time.in(microsecond), WithinRel(15 + 7 * 1 + 937.5e6 / 360e3, 1e-12));
}

TEST_CASE("the own copy makes bus bandwidth rise with ranks", "[unit]") {
  const auto bus = [](double ranks) {  // S (n-1)/n / t, the figure nccl-tests prints
    const NcclTerms terms = nccl_terms(collective(CollectiveKind::all_gather, 1e12, ranks), round_fit());
    return 1e3 * (ranks - 1) / ranks / terms.time.in(second);
  };
  REQUIRE_THAT(bus(2), WithinRel(360 * 1 / 1.5, 1e-3));
  REQUIRE_THAT(bus(4), WithinRel(360 * 3 / 3.5, 1e-3));
  REQUIRE_THAT(bus(8), WithinRel(360 * 7 / 7.5, 1e-3));
}

TEST_CASE("a small collective pays launch and hops of the low-latency protocol", "[unit]") {
  const NcclTerms gather = nccl_terms(collective(CollectiveKind::all_gather, 1, 8), round_fit());
  const NcclTerms sum = nccl_terms(collective(CollectiveKind::all_reduce, 1, 8), round_fit());
  CHECK(gather.protocol == NcclProtocol::low);
  REQUIRE_THAT(gather.time.in(microsecond), WithinRel(4 + 7 * 1.0, 1e-4));
  REQUIRE_THAT(sum.time.in(microsecond), WithinRel(4 + 14 * 1.0, 1e-4));  // both ways round
}

TEST_CASE("the cheapest protocol on offer is taken", "[unit]") {
  for (double bytes = 512; bytes < 1e10; bytes *= 4) {
    const NcclTerms terms =
        nccl_terms(collective(CollectiveKind::all_reduce, bytes, 8, NvlinkReduction::ring_or_switch), round_fit());
    CHECK(terms.time == min(min(terms.low, terms.simple), terms.nvls));
  }
}

TEST_CASE("the switch reduces from eight ranks on, and only where it may", "[unit]") {
  const auto switched = [](CollectiveKind kind, double ranks, NvlinkReduction reduction) {
    return nccl_terms(collective(kind, 1e9, ranks, reduction), round_fit());
  };
  const NcclTerms nvls = switched(CollectiveKind::all_reduce, 8, NvlinkReduction::ring_or_switch);
  CHECK(nvls.protocol == NcclProtocol::nvls);
  REQUIRE_THAT(nvls.time.in(microsecond), WithinRel(70 + 1e9 * 9 / 8 / 270e3, 1e-12));  // 0.6 of 450 GB/s
  CHECK(switched(CollectiveKind::all_reduce, 8, NvlinkReduction::ring).nvls == Seconds{});
  CHECK(switched(CollectiveKind::all_reduce, 4, NvlinkReduction::ring_or_switch).nvls == Seconds{});
  CHECK(switched(CollectiveKind::all_gather, 8, NvlinkReduction::ring_or_switch).nvls == Seconds{});
}

TEST_CASE("hops of Simple hide behind the transfer as far as the overlap says", "[unit]") {
  NcclFit fit = round_fit();
  fit.simple_hop = 10 * microsecond;
  fit.simple_overlap = 2;
  // 7 x 10 us of hops and 70 us of transfer: chunk 25.2 MB / 7.5, 15 + sqrt(70^2 + 70^2).
  const NcclTerms terms = nccl_terms(collective(CollectiveKind::all_gather, 8 * 25.2e6 / 7.5, 8), fit);
  REQUIRE_THAT(terms.simple.in(microsecond), WithinRel(15 + 70 * std::sqrt(2.0), 1e-9));
}

TEST_CASE("an all-to-all pays one floor and the chunks of its peers", "[unit]") {
  const NcclTerms large = nccl_terms(NvlinkAllToAll{800e6 * byte, 8, kLink}, round_fit());
  CHECK(large.protocol == NcclProtocol::simple);
  REQUIRE_THAT(large.time.in(microsecond), WithinRel(12 + 100e6 * 7.5 / 360e3, 1e-12));
  const NcclTerms small = nccl_terms(NvlinkAllToAll{56e3 * byte, 8, kLink}, round_fit());
  CHECK(small.protocol == NcclProtocol::low);
  REQUIRE_THAT(small.time.in(microsecond), WithinRel(6 + 7e3 / 7e3 + 7e3 * 7.5 / 360e3, 1e-12));
}

TEST_CASE("more bytes never take less time, and one rank takes none", "[unit]") {
  for (const CollectiveKind kind :
       {CollectiveKind::all_gather, CollectiveKind::reduce_scatter, CollectiveKind::all_reduce}) {
    Seconds before;
    for (double bytes = 1; bytes < 1e11; bytes *= 1.5) {
      const Seconds now = nccl_terms(collective(kind, bytes, 8, NvlinkReduction::ring_or_switch), round_fit()).time;
      CHECK(now >= before);
      before = now;
    }
    CHECK(nccl_terms(collective(kind, 1e9, 1), round_fit()).time == Seconds{});
  }
  Seconds before;
  for (double bytes = 1; bytes < 1e11; bytes *= 1.5) {
    const Seconds now = nccl_terms(NvlinkAllToAll{bytes * byte, 4, kLink}, round_fit()).time;
    CHECK(now >= before);
    before = now;
  }
}

TEST_CASE("without a fit a collective is its link", "[unit]") {
  const OpCost gather = cost(collective(CollectiveKind::all_gather, 9e9, 2), NcclFit{});
  REQUIRE_THAT(gather.time.in(second), WithinRel(4.5e9 / 450e9, 1e-12));
  CHECK(gather.source == Source::bound);
  CHECK(gather.bound_by == "NVLink");
}
