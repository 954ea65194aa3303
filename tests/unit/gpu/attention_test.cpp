#include "gpu/attention.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "scenarios.hpp"

using namespace moeline;
using Catch::WithinRel;

namespace {

Gpu h100() { return std::get<Gpu>(small().scenario().cluster.device); }
constexpr double kHbm = 3.35e12, kBf16 = 989.4e12, kMultiprocessors = 132;

AttentionCore causal(double heads, double tokens) {
  return {.sequences = 1, .heads = heads, .kv_heads = heads, .queries = tokens, .keys = tokens, .qk_dim = 128,
          .value_dim = 128};
}

double microseconds(const AttentionCore& a) { return prefill_terms(a, h100(), {}).time.in(microsecond); }

// 64 sequences of 8 kv heads, 4096 cached tokens: 64 x 8 x 4096 x 256 x 2 bytes.
DecodeShape decode() {
  return {.sequences = 64, .heads = 64, .kv_heads = 8, .keys = 4096, .qk_dim = 128, .value_dim = 128};
}
constexpr double kCache = 64.0 * 8 * 4096 * 256 * 2;

}  // namespace

TEST_CASE("long causal attention runs at the peak", "[unit]") {
  // 4 S^2/2 h d; beyond it only the half blocks on the diagonal, 128/S of it.
  const double tokens = 32768, flops = 4 * tokens * tokens / 2 * 64 * 128;
  const PrefillTerms t = prefill_terms(causal(64, tokens), h100(), {});
  REQUIRE_THAT(t.time.in(second), WithinRel(flops / kBf16 * (1 + 128 / tokens), 1e-9));
  REQUIRE_THAT(t.flops.in(flop), WithinRel(flops, 1e-12));
  CHECK(t.busy == 1);
}

TEST_CASE("one head of a long sequence takes as long as its longest tile", "[unit]") {
  // 16384/128 = 128 tiles for 132 multiprocessors; the last one has 128 steps of 2 x 128 x 128 x 256 FLOP.
  const PrefillTerms t = prefill_terms(causal(1, 16384), h100(), {});
  REQUIRE_THAT(t.time.in(second), WithinRel(128 * 2 * 128.0 * 128 * 256 / (kBf16 / kMultiprocessors), 1e-12));
  REQUIRE_THAT(t.time / prefill_terms(causal(2, 16384), h100(), {}).time, WithinRel(1, 1e-12));
  CHECK(attention_cost(causal(1, 16384), h100(), {}).bound_by == "latency");
}

TEST_CASE("backward has five products for two", "[unit]") {
  AttentionCore a = causal(64, 32768);
  const double forward = microseconds(a);
  a.backward = true;
  REQUIRE_THAT(microseconds(a) / forward, WithinRel(2.5, 1e-9));
}

TEST_CASE("FlashAttention 2 reaches 0.62 of a vendor's kernel on Hopper, and is that kernel on the A100", "[unit]") {
  Gpu gpu = h100();
  const auto ratio = [&](bool backward) {
    AttentionCore a = causal(64, 32768);
    a.backward = backward;
    const Seconds fused = prefill_terms(a, gpu, {}).time;
    a.kernel = AttentionKernel::flash2;
    return prefill_terms(a, gpu, {}).time / fused;
  };
  REQUIRE_THAT(ratio(false), WithinRel(1 / 0.62, 1e-9));
  REQUIRE_THAT(ratio(true), WithinRel(1 / 0.62, 1e-9));
  gpu.architecture = "sm_80";
  REQUIRE_THAT(ratio(false), WithinRel(1.0, 1e-12));
}

TEST_CASE("expanded latent attention backward has three products of 192 and two of 128", "[unit]") {
  AttentionCore a = causal(64, 32768);
  const double narrow = microseconds(a) * 2.5;
  a.qk_dim = 192;
  a.backward = true;
  REQUIRE_THAT(microseconds(a) / narrow, WithinRel((3 * 192 + 2 * 128) / (5 * 128.0), 1e-9));
  PrefillFit padded;
  padded.wide_backward = 1;  // 192 is computed as 256
  REQUIRE_THAT(prefill_terms(a, h100(), padded).time.in(microsecond) / narrow,
               WithinRel((3 * 256 + 2 * 128) / (5 * 128.0), 1e-9));
}

TEST_CASE("backward at half the forward rate takes twice as long", "[unit]") {
  AttentionCore a = causal(64, 32768);
  a.backward = true;
  PrefillFit half;
  half.backward = 0.5;
  REQUIRE_THAT(prefill_terms(a, h100(), half).time.in(microsecond), WithinRel(2 * microseconds(a), 1e-9));
}

TEST_CASE("attention takes longer over longer sequences and more heads", "[unit]") {
  PrefillFit fit;
  fit.launch = 8 * microsecond;
  fit.tensor = 0.9;
  fit.crowding = 0.25;
  fit.tile = 3 * microsecond;
  fit.overlap = 1.4;
  fit.sag = 0.1;
  double before = 0;
  for (double tokens = 128; tokens <= 65536; tokens *= 2) {
    const double now = prefill_terms(causal(32, tokens), h100(), fit).time.in(microsecond);
    CHECK(now > before);
    CHECK(now > microseconds(causal(32, tokens)));  // no kernel beats the bound
    CHECK(prefill_terms(causal(40, tokens), h100(), fit).time.in(microsecond) > now);
    before = now;
  }
}

TEST_CASE("a window caps the work of a long sequence", "[unit]") {
  AttentionCore a = causal(64, 32768);
  a.window = 1024;
  // 1024 x 32768 - 1024^2/2 pairs of 32768^2/2, and two masked edges of 64 keys a query instead of one
  const double pairs = 1024 * 32768.0 - 1024 * 512 + 128 * 32768, whole = 32768 * 32768.0 / 2 + 64 * 32768.0;
  REQUIRE_THAT(microseconds(a) / microseconds(causal(64, 32768)), WithinRel(pairs / whole, 1e-9));
}

TEST_CASE("a rank of a context-parallel group does its share of the triangle", "[unit]") {
  AttentionCore a = causal(64, 32768);
  a.queries = 8192;
  REQUIRE_THAT(microseconds(a) / microseconds(causal(64, 32768)), WithinRel(0.25, 1e-9));
}

TEST_CASE("decode reads its cache once, from HBM", "[unit]") {
  const DecodeTerms t = decode_terms(decode(), h100(), {});
  REQUIRE_THAT(t.cache.in(byte), WithinRel(kCache, 1e-12));
  // and 64 x 64 heads of q and o, 256 x 2 bytes each
  REQUIRE_THAT(t.time.in(second), WithinRel((kCache + 64 * 64 * 256 * 2.0) / kHbm, 1e-9));
  CHECK(t.hit == 0);
  CHECK(decode_cost(decode(), h100(), {}).bound_by == "HBM");
}

TEST_CASE("a latent cache is one row of 576 for all heads", "[unit]") {
  DecodeShape s{.sequences = 64, .heads = 16, .kv_heads = 1, .keys = 4096, .qk_dim = 576, .value_dim = 512,
                .latent = true};
  REQUIRE_THAT(decode_terms(s, h100(), {}).cache.in(byte), WithinRel(64 * 4096 * 576 * 2.0, 1e-12));
}

TEST_CASE("only a benchmark finds its cache in L2", "[unit]") {
  DecodeShape s = decode();
  s.sequences = 1;  // 16.8 MB: fits 50 MiB
  DecodeFit fit;
  fit.l2_speed = 4;
  CHECK(decode_terms(s, h100(), fit).hit == 0);
  const DecodeTerms hot = decode_terms(s, h100(), fit, false);
  CHECK(hot.hit > 0.99);
  REQUIRE_THAT(hot.memory.in(second), WithinRel(s.sequences * 8 * 4096 * 512 / kHbm / 4, 0.01));
}

TEST_CASE("decode takes longer over longer caches", "[unit]") {
  DecodeFit fit;
  fit.launch = 8 * microsecond;
  fit.token = 2 * nanosecond;
  fit.shortest_chunk = 128;
  fit.combine = 1 * microsecond;
  double before = 0;
  DecodeShape s = decode();
  for (s.keys = 128; s.keys <= 131072; s.keys *= 2) {
    const double now = decode_terms(s, h100(), fit).time.in(microsecond);
    CHECK(now > before);
    before = now;
  }
}

TEST_CASE("more than 32 query heads per kv head leave the tensor cores", "[unit]") {
  DecodeShape s = decode();
  s.kv_heads = 1;
  DecodeFit fit;
  fit.vector_element = 0.31e-3 * nanosecond;
  s.heads = 32;
  CHECK_FALSE(decode_terms(s, h100(), fit).vector_kernel);
  s.heads = 64;
  const DecodeTerms t = decode_terms(s, h100(), fit);
  CHECK(t.vector_kernel);
  REQUIRE_THAT(t.vector.in(second), WithinRel(64.0 * 64 * 4096 * 256 * 0.31e-12, 1e-9));
}

TEST_CASE("one sequence is split over the chip, many are not", "[unit]") {
  DecodeShape s = decode();
  CHECK(decode_terms(s, h100(), {}).chunks == 1);  // 64 x 8 parts for 132 multiprocessors
  s.sequences = 1;
  CHECK(decode_terms(s, h100(), {}).chunks == 16);  // 132 / 8, whole
}

TEST_CASE("Blackwell's latent kernel is narrow for short chunks and wide for long ones", "[unit]") {
  Gpu gpu = h100();
  gpu.architecture = "sm_100";
  DecodeShape s{.sequences = 1, .heads = 128, .kv_heads = 1, .keys = 2048, .qk_dim = 576, .value_dim = 512, .latent = true};
  DecodeFit fit;
  fit.shortest_chunk = 512;
  const DecodeTerms narrow = decode_terms(s, gpu, fit);  // 8 tiles of 16 heads leave 132/8 blocks: 2048/512 chunks
  CHECK(narrow.chunks == 4);
  CHECK(narrow.clustered);
  CHECK(narrow.value_split == 4);  // 32 blocks: a quarter of the chip
  s.keys = 131072;                 // 16 chunks would be of 8192
  const DecodeTerms wide = decode_terms(s, gpu, fit);
  CHECK(wide.chunks == 66);  // two tiles of 64 heads
  CHECK_FALSE(wide.clustered);
  CHECK(wide.value_split == 1);
}

TEST_CASE("chunks that meet in memory are reduced one after the other", "[unit]") {
  DecodeShape s = decode();
  s.sequences = 1;
  DecodeFit fit;
  const Seconds without = decode_terms(s, h100(), fit).time;
  fit.combine_chunk = 0.5 * microsecond;
  const Seconds reduced = decode_terms(s, h100(), fit).time;
  REQUIRE_THAT((reduced - without).in(microsecond), WithinRel(16 * 0.5, 1e-9));  // 132/8 chunks, whole
}

TEST_CASE("the page's correction reaches prefill forward and decode", "[unit]") {
  const auto tenth = std::make_shared<const Surface>(Surface{{"a", "b"}, {{0, 1}, {0, 1}}, {0.1, 0.1, 0.1, 0.1}});
  PrefillFit prefill;
  prefill.surface = tenth;
  AttentionCore a = causal(64, 4096);
  REQUIRE_THAT(prefill_terms(a, h100(), prefill).time.in(microsecond) / microseconds(a), WithinRel(std::exp(0.1), 1e-9));
  a.backward = true;
  REQUIRE_THAT(prefill_terms(a, h100(), prefill).time.in(microsecond), WithinRel(microseconds(a), 1e-12));
  DecodeFit fit;
  const Seconds without = decode_terms(decode(), h100(), fit).time;
  fit.surface = std::make_shared<const Surface>(Surface{{"a", "b", "c"}, {{0, 1}, {0, 1}, {0, 1}}, std::vector<double>(8, 0.1)});
  REQUIRE_THAT(decode_terms(decode(), h100(), fit).time / without, WithinRel(std::exp(0.1), 1e-9));
}
