// Does the exchange of tokens move what counting every choice says it must?
#include <bit>
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include "net/collectives.hpp"
#include "routing/load.hpp"
#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

constexpr double kNvLink = 450e9, kRail = 50e9, kNvLinkLatency = 0.874e-6, kRailLatency = 4e-6;  // H100

MoeFfn moe(std::int64_t experts, std::int64_t top_k, std::int64_t groups = 1, std::int64_t top_groups = 1) {
  return {.experts = experts, .top_k = top_k, .width = 64, .groups = groups, .top_groups = top_groups};
}

// All subsets of `size` out of `of`, as bits.
std::vector<std::uint32_t> subsets(std::int64_t of, std::int64_t size) {
  std::vector<std::uint32_t> list;
  for (std::uint32_t bits = 0; bits < (1U << of); ++bits) {
    if (std::popcount(bits) == size) list.push_back(bits);
  }
  return list;
}

// Mean over all ways to open groups and to choose experts in them of the number of domains that hold a choice.
double counted_domains(const MoeFfn& ffn, std::int64_t domains) {
  const std::int64_t per_group = ffn.experts / ffn.groups, per_domain = ffn.experts / domains;
  const std::vector<std::uint32_t> choices = subsets(ffn.experts, ffn.top_k);
  double hit = 0, ways = 0;
  for (const std::uint32_t open : subsets(ffn.groups, ffn.top_groups)) {
    for (const std::uint32_t chosen : choices) {
      std::uint32_t groups = 0, touched = 0;
      for (std::int64_t e = 0; e < ffn.experts; ++e) {
        if ((chosen >> e & 1U) == 0) continue;
        groups |= 1U << (e / per_group);
        touched |= 1U << (e / per_domain);
      }
      if ((groups & ~open) != 0) continue;
      hit += std::popcount(touched);
      ++ways;
    }
  }
  return hit / ways;
}

TokenExchange exchange(const MoeFfn& ffn, std::int64_t ep, Transport transport, std::int64_t stride = 1) {
  return {.tokens = 4096, .copy = 8192 * byte, .moe = ffn, .group = {ep, stride}, .transport = transport};
}

const Fabric& h100() {
  static const Trial trial = small();
  return trial.scenario().cluster.fabric;
}

double seconds(const TokenExchange& e) { return cost(e, h100(), Calibration{}).time.in(second); }

}  // namespace

TEST_CASE("expected domains agree with counting every choice", "[property]") {
  for (const std::int64_t experts : {4, 8, 12, 16}) {
    for (std::int64_t k = 1; k <= 6 && k <= experts; ++k) {
      for (const std::int64_t domains : {1, 2, 4}) {
        INFO(experts << " experts, top " << k << ", " << domains << " domains");
        REQUIRE_THAT(expected_domains_hit(moe(experts, k), static_cast<double>(domains)),
                     WithinRel(counted_domains(moe(experts, k), domains), 1e-9));
      }
      REQUIRE_THAT(expected_domains_hit(moe(experts, k), static_cast<double>(experts)),
                   WithinRel(static_cast<double>(k), 1e-9));
    }
  }
}

TEST_CASE("expected domains of group-limited routing agree with counting every choice", "[property]") {
  for (const std::int64_t groups : {2, 4, 8}) {
    for (std::int64_t open = 1; open <= groups; ++open) {
      for (const std::int64_t k : {1, 2, 3, 4}) {
        if (k > open * 16 / groups) continue;
        for (const std::int64_t domains : {1, 2, 4, 8, 16}) {
          const MoeFfn ffn = moe(16, k, groups, open);
          INFO(open << " of " << groups << " groups, top " << k << ", " << domains << " domains");
          REQUIRE_THAT(expected_domains_hit(ffn, static_cast<double>(domains)),
                       WithinRel(counted_domains(ffn, domains), 1e-9));
        }
      }
    }
  }
}

TEST_CASE("group-limited routing touches no more domains than its open groups reach", "[property]") {
  const MoeFfn limited = moe(256, 8, 8, 4), free = moe(256, 8);
  for (const double domains : {2.0, 4.0, 8.0, 16.0, 32.0, 64.0}) {
    CHECK(expected_domains_hit(limited, domains) <= expected_domains_hit(free, domains));
    CHECK(expected_domains_hit(limited, domains) <= 8);
  }
  CHECK(expected_domains_hit(limited, 8) <= 4);  // 8 nodes, 4 groups open: at most 4
}

TEST_CASE("inside one switch a flat exchange sends T k b (EP-1)/EP", "[property]") {
  for (const std::int64_t ep : {2, 4, 8}) {
    const double ranks = static_cast<double>(ep);
    REQUIRE_THAT(seconds(exchange(moe(64, 6), ep, Transport::nccl)),
                 WithinRel(4096.0 * 6 * 8192 * (ranks - 1) / ranks / kNvLink + kNvLinkLatency, 1e-12));
  }
}

TEST_CASE("inside one switch a deduplicated exchange sends one copy to each rank touched", "[property]") {
  for (const std::int64_t ep : {2, 4, 8}) {
    const double ranks = static_cast<double>(ep), copies = counted_domains(moe(16, 4), ep);
    REQUIRE_THAT(seconds(exchange(moe(16, 4), ep, Transport::deepep)),
                 WithinRel(4096.0 * copies * 8192 * (ranks - 1) / ranks / kNvLink + kNvLinkLatency, 1e-9));
  }
}

TEST_CASE("over two nodes one copy per node crosses, one per rank is forwarded", "[property]") {
  for (const MoeFfn& ffn : {moe(16, 1), moe(16, 2), moe(16, 4), moe(16, 4, 4, 2)}) {
    const double nodes = counted_domains(ffn, 2), ranks = counted_domains(ffn, 16);
    const NetworkTerms terms = exchange_terms(exchange(ffn, 16, Transport::deepep), h100());
    // Uniform choices: half of the nodes touched is one's own; of the eight ranks of a node, one is where a copy lands.
    REQUIRE_THAT(terms.per_tier[1].in(byte), WithinRel(4096.0 * 8192 * nodes / 2, 1e-9));
    REQUIRE_THAT(terms.per_tier[0].in(byte), WithinRel(4096.0 * 8192 * ranks * 7 / 8, 1e-9));
    const double slower = std::max(nodes / 2 / kRail, ranks * 7 / 8 / kNvLink);
    REQUIRE_THAT(seconds(exchange(ffn, 16, Transport::deepep)), WithinRel(4096.0 * 8192 * slower + kRailLatency, 1e-9));
  }
}

TEST_CASE("over two nodes a flat exchange sends every copy by itself", "[property]") {
  const NetworkTerms terms = exchange_terms(exchange(moe(64, 6), 16, Transport::nccl), h100());
  REQUIRE_THAT(terms.per_tier[0].in(byte),
               WithinRel(4096.0 * 6 * 8192 * 7 / 16, 1e-12));  // seven peers of sixteen ranks
  REQUIRE_THAT(terms.per_tier[1].in(byte), WithinRel(4096.0 * 6 * 8192 * 8 / 16, 1e-12));  // eight
}

TEST_CASE("deduplication never sends more than a flat exchange", "[property]") {
  for (const std::int64_t k : {1, 2, 4, 8, 16}) {
    for (const std::int64_t ep : {2, 8, 16, 64}) {
      const NetworkTerms flat = exchange_terms(exchange(moe(128, k), ep, Transport::nccl), h100());
      const NetworkTerms single = exchange_terms(exchange(moe(128, k), ep, Transport::deepep), h100());
      INFO("top " << k << ", ep " << ep);
      CHECK(single.per_tier.back() <= flat.per_tier.back() * (1 + 1e-9));
      CHECK(single.transfer <= flat.transfer * (1 + 1e-9));
    }
  }
}

TEST_CASE("the hottest receiver stretches an exchange", "[property]") {
  TokenExchange even = exchange(moe(64, 6), 8, Transport::nccl), hot = even;
  hot.overload = 1.25;
  const NetworkTerms a = exchange_terms(even, h100()), b = exchange_terms(hot, h100());
  REQUIRE_THAT(b.transfer / a.transfer, WithinRel(1.25, 1e-12));
  CHECK(a.latency == b.latency);
}

TEST_CASE("replicating tokens instead of dispatching them gathers every rank's rows", "[property]") {
  REQUIRE_THAT(seconds(exchange(moe(64, 6), 8, Transport::allreduce)),
               WithinRel(8 * 4096.0 * 8192 * 7 / 8 / kNvLink + 3 * kNvLinkLatency, 1e-9));
}

TEST_CASE("an exchange with oneself is free", "[property]") {
  for (const Transport transport : {Transport::nccl, Transport::deepep, Transport::hybridep, Transport::allreduce}) {
    CHECK(seconds(exchange(moe(64, 6), 1, transport)) == 0);
  }
}
