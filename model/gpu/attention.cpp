#include "gpu/attention.hpp"

#include <algorithm>
#include <cmath>

#include "error.hpp"
#include "gpu/roofline.hpp"

namespace moeline {
namespace {

constexpr double kStep = 128;              // keys (forward) or queries (backward) of one step along a tile
constexpr double kMemoryOverlap = 4;       // exponent between arithmetic and q, k, v, o traffic, unless all is neutral
constexpr double kL2Share = 0.7, kL2Sharpness = 4;  // what fits L2, and how sharply
// Query heads per kv head that tensor-core decode kernels take at once; above the first number a vector kernel runs.
constexpr double kGroup = 32, kLatentGroup = 64;
constexpr double kVectorChunk = 256;  // tokens that a vector kernel does not split
// Latent kernels of Blackwell as TensorRT-LLM 1.3 (fmhaKernels.h, Apache-2.0) chooses them: a narrow one for few heads or
// short chunks, whose chunks are reduced in the shared memory of a cluster of up to 16, and a wide one.
constexpr double kNarrowLatentGroup = 16, kNarrowLatentHeads = 32;
constexpr double kNarrowChunk = 1024, kNarrowStep = 256;
constexpr double kLargestCluster = 16, kCrowdedCluster = 8;

// FlashAttention 2 to cuDNN's kernel on Hopper, whose instructions it does not use: 0.61 to 0.64 forward (causal) and 0.61 to 0.64
// backward, head width 128, 1k to 16k tokens; H100 SXM (Shah et al., FlashAttention-3, arXiv 2407.08608, figures 5 and 6).
// The A100's pages are of FlashAttention 2 itself.
constexpr double kFlash2OnHopper = 0.62;

double steps(double tokens) { return std::ceil(tokens / kStep - 1e-9); }

Seconds smooth_max(Seconds a, Seconds b, double p) {
  const Seconds longer = max(a, b);
  if (longer == Seconds{}) return longer;
  return longer * std::pow(1 + std::pow(min(a, b) / longer, p), 1 / p);
}

bool blackwell(const Gpu& gpu) { return gpu.architecture == "sm_100" || gpu.architecture == "sm_103"; }

// Two query tiles of 128 rows share a multiprocessor on Blackwell; one elsewhere. Backward: 128 keys everywhere.
double tile_rows(const AttentionCore& a, const Gpu& gpu) { return !a.backward && blackwell(gpu) ? 2 * kStep : kStep; }

// Pairs computed per head: whole steps, and whole 128 x 128 blocks where the mask cuts through.
double computed_pairs(const AttentionCore& a) {
  AttentionCore whole = a;
  whole.queries = kStep * steps(a.queries);
  whole.keys = kStep * steps(a.keys);
  const double edges = whole.window > 0 && whole.window < whole.keys ? 2 : whole.causal ? 1 : 0;
  return attended_pairs(whole) + edges * whole.queries * kStep / 2;
}

// The rate divides what hardware multiplies; `wide` moves qk_dim towards the next power of two.
double products_per_pair(const AttentionCore& a, double wide) {
  const double padded = a.qk_dim + wide * (std::exp2(std::ceil(std::log2(a.qk_dim))) - a.qk_dim);
  return a.backward ? 3 * padded + 2 * a.value_dim : padded + a.value_dim;
}

Bytes operand_bytes(const AttentionCore& a) {
  const double rows = a.sequences * (a.heads * a.queries + a.kv_heads * a.keys);
  return bytes(DType::bf16, rows * (a.qk_dim + a.value_dim)) * (a.backward ? 2 : 1);
}

void count_tiles(PrefillTerms& t, const AttentionCore& a, const Gpu& gpu) {
  const double rows = tile_rows(a, gpu), sms = static_cast<double>(gpu.multiprocessors.value);
  const double own = a.backward ? a.keys : a.queries, other = a.backward ? a.queries : a.keys;
  t.tiles = a.sequences * a.heads * std::ceil(own / rows - 1e-9);
  t.longest = steps(other);
  if (a.window > 0 && a.window < other) t.longest = std::min(t.longest, steps(a.window + rows));
  t.mean = a.sequences * a.heads * computed_pairs(a) / (rows * kStep) / sms;
  t.busy = std::min(1.0, t.mean / t.longest);
}

// One kernel writes what the next reads: the part that fits stays in L2.
Seconds passing(Bytes bytes, const Gpu& gpu, const PrefillFit& fit) {
  const double filled = bytes / (kL2Share * gpu.l2_capacity.value);
  const double hit = 1 / (1 + std::pow(filled, kL2Sharpness));
  return bytes / (fit.memory * gpu.hbm_bandwidth.value) * (1 - hit + hit / fit.l2_speed);
}

}  // namespace

PrefillTerms prefill_terms(const AttentionCore& a, const Gpu& gpu, const PrefillFit& fit,
                           const PrefillContext& context) {
  MOELINE_EXPECT(a.queries > 0 && a.keys > 0 && gpu.dense_peak.of(context.products).has_value());
  PrefillTerms t;
  count_tiles(t, a, gpu);
  const double sms = static_cast<double>(gpu.multiprocessors.value);
  const double useful = a.backward ? 2.5 * (a.qk_dim + a.value_dim) : a.qk_dim + a.value_dim;
  t.flops = 2 * a.sequences * a.heads * attended_pairs(a) * useful * flop;
  t.bytes = operand_bytes(a);
  double rate = fit.tensor * (1 - fit.crowding * t.busy) * (a.backward ? fit.backward : 1);
  if (a.kernel == AttentionKernel::flash2 && gpu.architecture == "sm_90") rate *= kFlash2OnHopper;
  const double products = products_per_pair(a, a.backward ? fit.wide_backward : fit.wide);
  const Flops work = 2 * tile_rows(a, gpu) * kStep * products * flop;
  t.step = work / (rate / sms * gpu.dense_peak.of(context.products)->value);
  const double overlap = a.backward ? fit.overlap_backward : fit.overlap;
  t.tail = t.longest * t.step + fit.tile;
  t.shared = t.mean * t.step + t.tiles / sms * fit.tile;
  Seconds main = smooth_max(t.tail, t.shared, overlap);
  main *= 1 + fit.sag * t.busy * (main / (main + fit.sag_after));
  const BytesPerSecond bandwidth = fit.memory * gpu.hbm_bandwidth.value;
  t.memory = t.bytes / bandwidth;
  t.around = passing(context.around, gpu, fit);
  const Seconds launch = a.backward ? fit.launch_backward : fit.launch;
  t.time = launch + t.around + smooth_max(main, t.memory, std::isinf(overlap) ? kHard : kMemoryOverlap);
  if (fit.surface && !a.backward && a.window <= 0) t.time *= std::exp(fit.surface->at(prefill_coordinates(a)));
  return t;
}

std::array<double, 2> prefill_coordinates(const AttentionCore& a) {
  return {std::log2(a.keys), std::log2(a.sequences * a.heads)};
}

OpCost attention_cost(const AttentionCore& a, const Gpu& gpu, const PrefillFit& fit, const PrefillContext& context) {
  const PrefillTerms t = prefill_terms(a, gpu, fit, context);
  OpCost cost{.flops = t.flops, .bytes = t.bytes, .time = t.time, .spread = fit.spread.at(t.time), .bound_by = "tensor",
              .source = fit.source};
  if (t.tail > t.shared) cost.bound_by = "latency";  // the longest tile: more multiprocessors would not help
  if (t.memory > max(t.tail, t.shared)) cost.bound_by = "HBM";
  if ((a.backward ? fit.launch_backward : fit.launch) > max(t.memory, max(t.tail, t.shared))) cost.bound_by = "launch";
  return cost;
}

Bytes bytes_around(const AttentionCore& a, DType cache) {
  const double tokens = a.sequences * a.queries;
  if (a.qk_dim != a.value_dim) {  // latent: expanded q, k, v touched once, the latent row of 512 + 64 read and written
    const Bytes expanded = bytes(DType::bf16, tokens * (a.heads * (2 * a.qk_dim + a.value_dim) + 576));
    const Bytes converted = cache == DType::bf16 ? Bytes{} : bytes(DType::fp8, tokens * a.heads * 512);
    return expanded + bytes(cache, tokens * 576) + converted;
  }
  const double rows = tokens * a.qk_dim;  // qkv read, q written, k and v written to the cache
  return bytes(DType::bf16, rows * (2 * a.heads + 2 * a.kv_heads)) + bytes(cache, rows * 2 * a.kv_heads);
}

namespace {

// Kernels that read keys and values once per query head, without tensor cores: a wide group; on Hopper and before also
// one head per kv head, and a bf16 cache too small to give a quarter of the chip a block of 128 tokens each.
bool vector_kernel(const DecodeShape& s, const Gpu& gpu) {
  const double group = s.heads / s.kv_heads;
  if (s.latent) return false;
  if (group > kGroup) return true;
  if (blackwell(gpu)) return false;
  const double blocks = s.sequences * s.kv_heads * std::max(1.0, std::floor(s.keys / kStep));
  const bool small = s.cache == DType::bf16 && 4 * blocks < static_cast<double>(gpu.multiprocessors.value);
  return group < 1.5 || small;
}

double multiprocessors(const Gpu& gpu) { return static_cast<double>(gpu.multiprocessors.value); }

bool narrow_latent(const DecodeShape& s, const Gpu& gpu) {
  if (!s.latent || !blackwell(gpu)) return false;
  if (s.heads <= kNarrowLatentHeads) return true;
  const double parts = s.sequences * std::ceil(s.heads / kNarrowLatentGroup - 1e-9);
  if (parts > multiprocessors(gpu)) return false;
  const double chunks = std::min(std::ceil(s.keys / kNarrowStep), std::max(1.0, std::floor(multiprocessors(gpu) / parts)));
  return std::ceil(s.keys / chunks) <= kNarrowChunk;
}

Bytes cached(const DecodeShape& s) {
  const double row = s.latent ? s.qk_dim : s.qk_dim + s.value_dim;
  return bytes(s.cache, s.sequences * s.kv_heads * s.keys * row);
}

// Query rows a tile of the tensor cores is padded to.
// Blackwell's multiply 128 rows at once: a pair of blocks fills them with 128 heads, one block alone half.
double padded_group(const DecodeShape& s, const Gpu& gpu) {
  if (s.latent && blackwell(gpu) && !narrow_latent(s, gpu) && s.heads <= kLatentGroup) return 2 * kLatentGroup;
  if (s.latent) return kLatentGroup;
  return std::min(kGroup, std::max(8.0, std::exp2(std::ceil(std::log2(s.heads / s.kv_heads)))));
}

// Heads that one block takes at once.
double tile_of(const DecodeShape& s, const Gpu& gpu) {
  return narrow_latent(s, gpu) ? kNarrowLatentGroup : s.latent ? kLatentGroup : kGroup;
}

// A cache is split until the chip is full, but not finer than pays.
void split_cache(DecodeTerms& t, const DecodeShape& s, const Gpu& gpu, const DecodeFit& fit) {
  const double sms = multiprocessors(gpu);
  const double group = t.vector_kernel ? s.heads / s.kv_heads : std::ceil(s.heads / s.kv_heads / tile_of(s, gpu) - 1e-9);
  const double parts = s.sequences * s.kv_heads * group;
  const double shortest = t.vector_kernel ? kVectorChunk : fit.shortest_chunk;
  const double pays = blackwell(gpu) ? std::ceil(s.keys / shortest - 1e-9) : s.keys / shortest;
  const double most = t.vector_kernel ? pays : std::min(pays, fit.most_chunks);
  t.chunks = std::clamp(std::floor(sms / parts), 1.0, std::max(1.0, most));
  const double even = std::max(1.0, parts * t.chunks / sms);
  t.waves = (1 - fit.whole_waves) * even + fit.whole_waves * std::ceil(even - 1e-9);
  t.clustered = narrow_latent(s, gpu) && t.chunks > 1.01 && t.chunks <= kLargestCluster;
  if (!narrow_latent(s, gpu)) return;
  // Blocks to spare split the latent values among them; large clusters of such blocks run one after the other where they
  // would take more than half of the chip.
  const double blocks = parts * t.chunks;
  t.value_split = 4 * blocks <= sms ? 4 : 2 * blocks <= sms ? 2 : 1;
  if (t.clustered && t.chunks >= kCrowdedCluster && t.value_split > 1 && 2 * t.value_split * blocks > sms) t.waves *= 2;
}

Seconds stream(DecodeTerms& t, const Gpu& gpu, const DecodeFit& fit, bool cold) {
  const double room = fit.l2_share * (gpu.l2_capacity.value / t.cache);
  t.hit = cold ? 0 : 1 / (1 + std::pow(1 / room, fit.l2_sharpness));
  return t.cache / (fit.memory * gpu.hbm_bandwidth.value) * (1 - t.hit + t.hit / fit.l2_speed);
}

// The shorter of the two, rounded off.
Seconds smooth_min(Seconds a, Seconds b) {
  if (a == Seconds{} || b == Seconds{}) return Seconds{};
  return min(a, b) / std::sqrt(1 + std::pow(min(a, b) / max(a, b), 2));
}

}  // namespace

DecodeTerms decode_terms(const DecodeShape& s, const Gpu& gpu, const DecodeFit& fit, bool cold) {
  MOELINE_EXPECT(s.keys > 0 && s.kv_heads > 0 && gpu.dense_peak.of(s.products).has_value());
  DecodeTerms t;
  t.vector_kernel = fit.vector_element > Seconds{} && vector_kernel(s, gpu);  // libraries without one price none
  split_cache(t, s, gpu, fit);
  const double sms = multiprocessors(gpu), chunk = s.keys / t.chunks;
  t.flops = 2 * s.sequences * s.heads * s.keys * (s.qk_dim + s.value_dim) * flop;
  t.cache = cached(s);
  if (narrow_latent(s, gpu) && s.heads > kNarrowLatentGroup && s.heads <= kNarrowLatentHeads) t.cache *= 1 + fit.reread;
  t.memory = stream(t, gpu, fit, cold);
  if (t.vector_kernel) {
    const double elements = s.sequences * s.heads * s.keys * (s.qk_dim + s.value_dim);
    t.vector = smooth_max(elements * fit.vector_element, chunk * fit.vector_token, fit.overlap);
    if (t.chunks > 1.01) t.combine = fit.vector_combine;
  } else {
    const Flops padded = t.waves * chunk * padded_group(s, gpu) * 2 * (s.qk_dim + s.value_dim / t.value_split) * flop;
    t.tensor = padded / (fit.tensor / sms * gpu.dense_peak.of(s.products)->value);
    t.walk = t.waves * (chunk * fit.token + fit.chunk);
    t.ramp = smooth_min(t.cache / fit.ramp_rate, fit.ramp);
  }
  const double rows = s.sequences * s.heads * (s.latent ? 2 * s.qk_dim + s.value_dim : s.qk_dim + s.value_dim);
  t.queries = bytes(DType::bf16, rows) / (fit.query_memory * gpu.hbm_bandwidth.value);
  const double p = fit.overlap;
  const Seconds work = smooth_max(smooth_max(t.tensor, t.walk, p), t.vector, p);
  if (t.chunks > 1.01 && !t.vector_kernel) {  // partial results go out in fp32 and come back
    const Bytes partial = bytes(DType::fp32, 2 * s.sequences * s.heads * t.chunks * s.value_dim);
    t.combine = fit.combine + (t.clustered ? Seconds{} : t.chunks * fit.combine_chunk) +
                partial / (fit.partial_memory * gpu.hbm_bandwidth.value);
  }
  t.time = fit.launch + t.combine + t.ramp + t.queries + smooth_max(work, t.memory, p);
  if (fit.surface) t.time *= std::exp(fit.surface->at(decode_coordinates(s)));
  return t;
}

std::array<double, 3> decode_coordinates(const DecodeShape& s) {
  return {std::log2(s.keys), std::log2(s.sequences * s.kv_heads), std::log2(s.heads / s.kv_heads)};
}

OpCost decode_cost(const DecodeShape& s, const Gpu& gpu, const DecodeFit& fit, bool cold) {
  const DecodeTerms t = decode_terms(s, gpu, fit, cold);
  const Seconds work = max(max(t.tensor, t.walk), t.vector);
  OpCost cost{.flops = t.flops, .bytes = t.cache, .time = t.time, .spread = fit.spread.at(t.time), .bound_by = "HBM",
              .source = fit.source};
  if (work > t.memory) cost.bound_by = t.tensor < work ? "latency" : "tensor";
  if (fit.launch > max(work, t.memory)) cost.bound_by = "launch";
  return cost;
}

}  // namespace moeline
