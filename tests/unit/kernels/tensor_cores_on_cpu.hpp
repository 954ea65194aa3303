// Tensor copies, byte-counting barriers, clusters and tensor cores for the CPU, in place of ptx.cuh, ptx_sm90.cuh,
// ptx_sm100.cuh and ptx_sm120.cuh: the very kernels run, with all their threads, and move real bytes through swizzled shared memory that
// is read again through descriptors. What is issued here is done at once, so it finds wrong indices, layouts, parities,
// missing arrivals and deadlocks, but no missing fences.
#pragma once

#include <cuda.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>

#include "unit/kernels/on_cpu.hpp"
#include "validate/codec.hpp"
#include "validate/kernels/descriptors.hpp"
#include "validate/kernels/tensor_map.hpp"

namespace moeline::kernels {

// --- memory --------------------------------------------------------------------------------------------------------
// An address is an offset into the block's shared memory, and in bits 24 and up which block of the cluster.
inline std::uint32_t rank_in_cluster() { return blockIdx.x % on_cpu::cluster; }
inline std::uint32_t shared_address(const void* at) {
  const auto offset = static_cast<const std::uint8_t*>(at) - on_cpu::block->shared_memory();
  return static_cast<std::uint32_t>(offset) | rank_in_cluster() << 24;
}
inline std::uint8_t* shared_byte(std::uint32_t address) {
  return on_cpu::blocks_of_cluster[address >> 24]->shared_memory() + (address & 0xFFFFFF);
}

struct MapOnCpu {
  const std::uint8_t* base;
  std::uint64_t inner_bytes, outer;
  int box_bytes, box_rows, element_bytes;
  bool swizzled;
};
inline cudaError_t box_map(CUtensorMap& map, Element element, const void* base, std::uint64_t inner,
                           std::uint64_t outer) {
  const bool scales = element == Element::scale_word;
  const int bytes = scales ? 4 : element == Element::bf16 ? 2 : 1;
  const MapOnCpu made{static_cast<const std::uint8_t*>(base),
                      inner * static_cast<unsigned>(bytes),
                      outer,
                      scales ? 512 : 128,
                      scales ? 1 : 64,
                      bytes,
                      !scales};
  std::memcpy(&map, &made, sizeof(made));
  return cudaSuccess;
}

// --- barriers ------------------------------------------------------------------------------------------------------
struct BarrierOnCpu {
  int arrivals, pending;
  long long bytes = 0;
  std::uint32_t phase = 0;
};
inline std::map<std::uint32_t, BarrierOnCpu> barriers;
inline std::mutex barriers_mutex;
inline std::condition_variable barriers_moved;

inline void move_barrier(std::uint32_t address, int arrivals, long long bytes) {
  const std::lock_guard lock(barriers_mutex);
  BarrierOnCpu& barrier = barriers.at(address);
  barrier.pending -= arrivals, barrier.bytes += bytes;
  if (barrier.pending != 0 || barrier.bytes != 0) return;
  barrier.pending = barrier.arrivals, barrier.phase ^= 1;
  barriers_moved.notify_all();
}
inline void barrier_init(std::uint32_t barrier, int arrivals) {
  const std::lock_guard lock(barriers_mutex);
  barriers[barrier] = {arrivals, arrivals};
}
inline void barriers_are_initialised() {}
inline void barrier_expect(std::uint32_t barrier, std::uint32_t bytes) { move_barrier(barrier, 1, bytes); }
inline void barrier_arrive(std::uint32_t barrier, std::uint32_t block) {
  move_barrier((barrier & 0xFFFFFF) | block << 24, 1, 0);
}
inline void barrier_wait(std::uint32_t barrier, std::uint32_t parity) {
  std::unique_lock lock(barriers_mutex);
  const auto done = [&] { return barriers.at(barrier).phase != parity; };
  if (!barriers_moved.wait_for(lock, std::chrono::seconds(60), done))
    throw std::runtime_error("a barrier stays closed");
}
template <int kStages>
struct Ring {
  int stage = 0;
  std::uint32_t parity = 0;
  void advance() {
    if (++stage == kStages) stage = 0, parity ^= 1;
  }
};
inline void cluster_meets() { on_cpu::cluster_barrier->arrive_and_wait(); }

// --- copies --------------------------------------------------------------------------------------------------------
struct Coordinates {
  int inner, outer;
};
inline void prefetch_map(const CUtensorMap*) {}
inline void place_box(std::uint32_t to, const CUtensorMap* opaque, std::uint32_t barrier, Coordinates at) {
  MapOnCpu map;
  std::memcpy(&map, opaque, sizeof(map));
  for (int row = 0; row < map.box_rows; ++row)
    for (int byte = 0; byte < map.box_bytes; ++byte) {
      const std::uint64_t outer = static_cast<std::uint64_t>(at.outer + row),
                          inner = static_cast<std::uint64_t>(at.inner) * static_cast<unsigned>(map.element_bytes) +
                                  static_cast<unsigned>(byte);
      const bool inside = at.outer + row >= 0 && outer < map.outer && inner < map.inner_bytes;
      const auto offset = static_cast<std::uint32_t>(row * map.box_bytes + byte);
      const std::uint32_t placed = map.swizzled ? swizzled(offset / kRowBytes, offset % kRowBytes) : offset;
      *shared_byte(to + placed) = inside ? map.base[outer * map.inner_bytes + inner] : 0;
    }
  move_barrier(barrier, 0, -map.box_rows * map.box_bytes);
}
inline void copy_box(std::uint32_t to, const CUtensorMap* map, std::uint32_t barrier, Coordinates at,
                     std::uint16_t blocks) {
  for (std::uint32_t rank = 0; rank < on_cpu::cluster; ++rank)
    if (blocks >> rank & 1) place_box((to & 0xFFFFFF) | rank << 24, map, (barrier & 0xFFFFFF) | rank << 24, at);
}
inline void copy_box(std::uint32_t to, const CUtensorMap* map, std::uint32_t barrier, Coordinates at) {
  place_box(to, map, barrier, at);
}
inline void copy_bytes(std::uint32_t to, const void* from, std::uint32_t bytes, std::uint32_t barrier) {
  std::memcpy(shared_byte(to), from, bytes);
  move_barrier(barrier, 0, -static_cast<long long>(bytes));
}

// --- operands ------------------------------------------------------------------------------------------------------
inline const std::array<float, 256>& e4m3_values() {
  static const std::array<float, 256> values = [] {
    std::array<float, 256> table{};
    for (unsigned i = 0; i < 256; ++i) table[i] = decode(Float8::e4m3, static_cast<std::uint8_t>(i));
    return table;
  }();
  return values;
}
// Element (line, k) of an operand of block `rank`, k within one instruction.
inline const std::uint8_t* operand_byte(std::uint64_t descriptor, Major major, std::uint32_t rank, unsigned line,
                                        unsigned k, unsigned element_bytes) {
  const auto field = [&](int from) { return static_cast<std::uint32_t>(descriptor >> from & 0x3FFF) * 16; };
  const unsigned byte = major == Major::k
                            ? line / 8 * field(32) + line % 8 * 128 + k * element_bytes
                            : line / 64 * field(16) + k / 8 * field(32) + k % 8 * 128 + line % 64 * element_bytes;
  const std::uint32_t address = field(0) + byte;
  return shared_byte((address ^ (address >> 7 & 7) << 4) | rank << 24);
}
inline float e4m3_at(const std::uint8_t* at) { return e4m3_values()[*at]; }
inline float bf16_at(const std::uint8_t* at) {
  std::uint16_t bits;
  std::memcpy(&bits, at, 2);
  return decode_bf16(bits);
}

namespace sm90 {
inline void wgmma_fence() {}
inline void wgmma_commit() {}
template <int kPending>
void wgmma_wait() {}
template <int kCount>
void pinned(float (&)[kCount]) {}
template <int kRegisters>
void give_up_registers() {}
template <int kRegisters>
void take_registers() {}

// Element i of this thread's accumulators is (row i % 4 / 2 of its two, column i / 4 * 2 + i % 2 of its own).
template <unsigned kDepth, int kCount, class Value>
void multiply(float (&d)[kCount], const Value& value_of_a, const Value& value_of_b, bool keep) {
  constexpr unsigned kOwnColumns = kCount / 2;
  const unsigned t = threadIdx.x % 128;
  float rows[2][kDepth], columns[kOwnColumns][kDepth];
  for (unsigned k = 0; k < kDepth; ++k) {
    for (unsigned r = 0; r < 2; ++r) rows[r][k] = value_of_a(t / 32 * 16 + t % 32 / 4 + 8 * r, k);
    for (unsigned c = 0; c < kOwnColumns; ++c) columns[c][k] = value_of_b(c / 2 * 8 + t % 4 * 2 + c % 2, k);
  }
  for (unsigned i = 0; i < kCount; ++i) {
    float sum = keep ? d[i] : 0;
    for (unsigned k = 0; k < kDepth; ++k) sum += rows[i % 4 / 2][k] * columns[i / 4 * 2 + i % 2][k];
    d[i] = sum;
  }
}
inline void multiply_fp8(float (&d)[64], std::uint64_t a, std::uint64_t b, int keep) {
  const std::uint32_t rank = rank_in_cluster();
  const std::function<float(unsigned, unsigned)> of_a = [=](unsigned m, unsigned k) {
    return e4m3_at(operand_byte(a, Major::k, rank, m, k, 1));
  };
  const std::function<float(unsigned, unsigned)> of_b = [=](unsigned n, unsigned k) {
    return e4m3_at(operand_byte(b, Major::k, rank, n, k, 1));
  };
  multiply<32>(d, of_a, of_b, keep != 0);
}
template <Major kMajorA, Major kMajorB>
void multiply_bf16(float (&d)[128], std::uint64_t a, std::uint64_t b) {
  const std::uint32_t rank = rank_in_cluster();
  const std::function<float(unsigned, unsigned)> of_a = [=](unsigned m, unsigned k) {
    return bf16_at(operand_byte(a, kMajorA, rank, m, k, 2));
  };
  const std::function<float(unsigned, unsigned)> of_b = [=](unsigned n, unsigned k) {
    return bf16_at(operand_byte(b, kMajorB, rank, n, k, 2));
  };
  multiply<16>(d, of_a, of_b, true);
}
}  // namespace sm90

namespace sm100 {
inline constexpr std::uint32_t kLeader = 0xFEFFFFFF;
inline constexpr unsigned kColumns = 512;
inline std::vector<std::uint32_t> tensor_memory[2];  // [lane][column]
inline std::uint32_t& tensor_word(std::uint32_t rank, unsigned lane, unsigned column) {
  return tensor_memory[rank][lane * kColumns + column];
}

inline void allocate_tensor_memory(std::uint32_t result) {
  if (threadIdx.x % 32 != 0) return;
  tensor_memory[rank_in_cluster()].assign(128 * kColumns, 0x7FC00000);
  std::memset(shared_byte(result), 0, 4);
}
inline void free_tensor_memory(std::uint32_t) {}
inline void after_barrier() {}
inline void before_barrier() {}
inline void copy_box_for_pair(std::uint32_t to, const CUtensorMap* map, std::uint32_t barrier, Coordinates at) {
  place_box(to, map, barrier & kLeader, at);
}
inline void copy_scales(std::uint32_t column, std::uint64_t from) {
  for (std::uint32_t rank = 0; rank < 2; ++rank)
    for (unsigned lane = 0; lane < 128; ++lane)
      for (unsigned word = 0; word < 4; ++word) {
        const std::uint32_t start = static_cast<std::uint32_t>(from & 0x3FFF) * 16,
                            stride = static_cast<std::uint32_t>(from >> 32 & 0x3FFF) * 16;
        const unsigned row = lane % 32;
        std::memcpy(&tensor_word(rank, lane, column + word),
                    shared_byte((start + row / 8 * stride + row % 8 * 16 + word * 4) | rank << 24), 4);
      }
}
// Row m of the pair is lane m % 128 of block m / 128; line n of B lies in block n / (N / 2).
template <unsigned kDepth, class Value>
void multiply(std::uint32_t d, std::uint32_t instruction, std::uint32_t keep, const Value& value_of_a,
              const Value& value_of_b) {
  const unsigned rows = (instruction >> 24 & 31) * 16, columns = (instruction >> 17 & 63) * 8;
  std::vector<float> a(rows * kDepth), b(columns * kDepth);
  for (unsigned i = 0; i < a.size(); ++i)
    a[i] = value_of_a(i / kDepth / (rows / 2), i / kDepth % (rows / 2), i % kDepth);
  for (unsigned i = 0; i < b.size(); ++i)
    b[i] = value_of_b(i / kDepth / (columns / 2), i / kDepth % (columns / 2), i % kDepth);
  for (unsigned m = 0; m < rows; ++m)
    for (unsigned n = 0; n < columns; ++n) {
      std::uint32_t& word = tensor_word(m / (rows / 2), m % (rows / 2), d + n);
      float sum = keep ? std::bit_cast<float>(word) : 0;
      for (unsigned k = 0; k < kDepth; ++k) sum += a[m * kDepth + k] * b[n * kDepth + k];
      word = std::bit_cast<std::uint32_t>(sum);
    }
}
inline float scale_of(std::uint32_t rank, std::uint32_t columns, unsigned line, std::uint32_t byte) {
  return decode_e8m0(static_cast<std::uint8_t>(tensor_word(rank, line % 32, columns + line / 32) >> 8 * byte));
}
// Every block scales with its own copy of B's scales; they are the same, or the copies are wrong.
inline void multiply_mxfp8(std::uint32_t d, std::uint64_t a, std::uint64_t b, std::uint32_t instruction,
                           std::uint32_t scale_a, std::uint32_t scale_b, std::uint32_t keep) {
  const unsigned half = (instruction >> 17 & 63) * 4;
  const std::function<float(unsigned, unsigned, unsigned)> of_a = [=](unsigned rank, unsigned row, unsigned k) {
    return e4m3_at(operand_byte(a, Major::k, rank, row, k, 1)) * scale_of(rank, scale_a, row, instruction >> 29 & 3);
  };
  const std::function<float(unsigned, unsigned, unsigned)> of_b = [=](unsigned rank, unsigned line, unsigned k) {
    const float scale = scale_of(0, scale_b, rank * half + line, instruction >> 4 & 3);
    if (scale != scale_of(1, scale_b, rank * half + line, instruction >> 4 & 3)) return NAN;
    return e4m3_at(operand_byte(b, Major::k, rank, line, k, 1)) * scale;
  };
  multiply<32>(d, instruction, keep, of_a, of_b);
}
inline void multiply_bf16(std::uint32_t d, std::uint64_t a, std::uint64_t b, std::uint32_t instruction,
                          std::uint32_t keep) {
  const auto major = [=](int bit) { return (instruction >> bit & 1) != 0 ? Major::mn : Major::k; };
  const auto value = [=](std::uint64_t operand, int bit) -> std::function<float(unsigned, unsigned, unsigned)> {
    return [=](unsigned rank, unsigned line, unsigned k) {
      return bf16_at(operand_byte(operand, major(bit), rank, line, k, 2));
    };
  };
  multiply<16>(d, instruction, keep, value(a, 15), value(b, 16));
}
inline void commit(std::uint32_t barrier) {
  for (std::uint32_t rank = 0; rank < 2; ++rank) barrier_arrive(barrier, rank);
}
inline void load_columns(std::uint32_t (&r)[32], std::uint32_t address) {
  for (unsigned i = 0; i < 32; ++i)
    r[i] = tensor_word(rank_in_cluster(), (address >> 16) + threadIdx.x % 32, (address & 0xFFFF) + i);
}
inline void store_sector(void* to, const std::uint32_t* words) { std::memcpy(to, words, 32); }
}  // namespace sm100

namespace sm120 {
// Matrix i has its eight rows of 16 bytes where lanes 8 i .. 8 i + 7 say; lane l gets the word l % 4 of row l / 4 of each.
inline void load_matrices(std::uint32_t (&r)[4], std::uint32_t address) {
  const on_cpu::Block::Exchanged* rows = on_cpu::of_warp(&address, sizeof address);
  const unsigned lane = threadIdx.x % 32;
  for (unsigned matrix = 0; matrix < 4; ++matrix) {
    std::uint32_t row;
    std::memcpy(&row, &rows[8 * matrix + lane / 4], sizeof row);
    std::memcpy(&r[matrix], shared_byte(row + lane % 4 * 4), sizeof r[matrix]);
  }
}

// What a lane brings to a product: registers of A and of B, and the chosen byte of its scale words.
struct Brought {
  std::uint32_t a[4], b[2];
  std::uint8_t scale_a, scale_b;
  // As the tables of PTX have it: byte k % 4 of register, rows 8 .. 15 in the odd ones of A, k 16 .. 31 in the later ones.
  static unsigned lane_of(unsigned line, unsigned k) { return line % 8 * 4 + k % 16 / 4; }
  float of_a(unsigned row, unsigned k) const { return value(a[k / 16 * 2 + row / 8], k); }
  float of_b(unsigned k) const { return value(b[k / 16], k); }
  static float value(std::uint32_t word, unsigned k) { return e4m3_values()[word >> k % 4 * 8 & 0xFF]; }
};

template <int kByte>
void multiply_mxfp8(float* d, const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1, std::uint32_t scale_a,
                    std::uint32_t scale_b) {
  const Brought mine{{a[0], a[1], a[2], a[3]},
                     {b0, b1},
                     static_cast<std::uint8_t>(scale_a >> 8 * kByte),
                     static_cast<std::uint8_t>(scale_b >> 8 * kByte)};
  const on_cpu::Block::Exchanged* handed_in = on_cpu::of_warp(&mine, sizeof mine);
  const auto brought = [&](unsigned lane) {
    Brought of;
    std::memcpy(&of, &handed_in[lane], sizeof of);
    return of;
  };
  const unsigned lane = threadIdx.x % 32;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = i / 2 * 8 + lane / 4, column = lane % 4 * 2 + i % 2;
    const float scale = decode_e8m0(brought(row % 8 * 4 + row / 8).scale_a) * decode_e8m0(brought(column * 4).scale_b);
    float sum = 0;
    for (unsigned k = 0; k < 32; ++k)
      sum += brought(Brought::lane_of(row, k)).of_a(row, k) * brought(Brought::lane_of(column, k)).of_b(k);
    d[i] += scale * sum;
  }
}
}  // namespace sm120

}  // namespace moeline::kernels
