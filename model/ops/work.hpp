// What can a device be asked to do? Sizes only; no hardware.
//
// Dimensions are doubles because expected loads are not whole. A product is C[m,n] = A[m,k] B[k,n].
#pragma once

#include <variant>

#include "ops/served_work.hpp"
#include "spec/dtype.hpp"
#include "spec/fabric.hpp"
#include "spec/llm.hpp"
#include "spec/recipe.hpp"
#include "spec/workload.hpp"
#include "units.hpp"

namespace moeline {

struct Gemm {
  double m = 0, n = 0, k = 0;
  DType operands = DType::bf16;
  DType output = DType::bf16;
  bool accumulate = false;  // C is read and added to (gradient accumulation)
  double software_block = 0;  // elements of k between rescales of the partial sum outside the tensor cores; 0: none
  bool operator==(const Gemm&) const = default;
};

// `groups` products of the same n and k (fprop, dgrad) or of the same m and n (wgrad), one per expert that has tokens.
struct GroupedGemm {
  double groups = 0;
  double m = 0, n = 0, k = 0;
  DType operands = DType::bf16;
  DType output = DType::bf16;
  bool accumulate = false;
  double software_block = 0;
  Kernels kernels = Kernels::te;
  bool wgrad = false;  // k is the rows of one expert
  bool operator==(const GroupedGemm&) const = default;
};

// softmax(Q K^T) V. Area = queries x keys per head, half of it if causal; a window caps the keys of each query.
struct AttentionCore {
  double sequences = 0, heads = 0, kv_heads = 0;
  double queries = 0, keys = 0;     // per sequence; queries < keys under context parallelism
  double qk_dim = 0, value_dim = 0;
  double window = 0;                // 0: none
  bool chunked = false;             // queries of one window-long chunk see each other only
  bool causal = true;
  bool backward = false;            // 2.5 times the forward products: five instead of two
  AttentionKernel kernel = AttentionKernel::fused;
};

// Chunked gated delta rule: state of key_dim x value_dim per head, updated along the sequence.
struct StateScan {
  double tokens = 0, heads = 0, key_dim = 0, value_dim = 0;
  bool backward = false;
};

// Anything bound by memory: norms, activations, residuals, rotary embedding, top-k, loss, optimiser.
struct Elementwise {
  Bytes read, written;
};

struct Quantize {
  double elements = 0;         // written, per copy
  double launches = 1;         // of the kernel, on a part of them each
  DType to = DType::fp8;
  double copies = 1;           // 2: row-wise and column-wise from one read
  Kernels kernels = Kernels::te;
  bool columns = false;        // a column-wise copy alone
  double read = 2;             // bytes per element: 2 a bf16 tensor, 4 gate and up of a fused SwiGLU, 2 more for its maximum
};

// Block scales of `elements` rearranged into the order the tensor cores read.
struct Relayout {
  double elements = 0;
  DType type = DType::mxfp8;
  Kernels kernels = Kernels::te;
  bool along_groups = false;   // columns of grouped rows: every expert's block is padded on its own
};

// Moving token rows between order of arrival and order of expert.
struct Permute {
  Bytes read, written;
};

enum class CollectiveKind { all_gather, reduce_scatter, all_reduce, send_recv };

// bytes: all_gather and reduce_scatter the whole gathered (scattered) buffer; all_reduce the buffer of one rank;
// send_recv one message to the next member of the group.
struct Collective {
  CollectiveKind kind = CollectiveKind::all_reduce;
  Bytes bytes;
  Group group;
  bool operator==(const Collective&) const = default;
};

// Dispatch or combine of MoE rows among the ranks of an expert-parallel group.
struct TokenExchange {
  double tokens = 0;     // of one rank, before routing
  Bytes copy;            // one token row on the wire
  MoeFfn moe;
  Group group;
  Transport transport = Transport::nccl;
  double overload = 1;   // hottest receiver over the mean
  bool combine = false;  // rows flow back to their tokens: combine, or the backward of dispatch
  bool sorted = false;   // a row for every expert that a token chose, not for every rank: nothing is left to sort
};

// Dispatch, experts and combine of one rank in one kernel; backward is reverse combine, dgrad, wgrad and reverse dispatch.
struct FusedExperts {
  double tokens = 0;           // of one rank, before routing
  double experts = 0, top_k = 0, hidden = 0, width = 0;
  DType weight = DType::mxfp8;
  DType dispatched = DType::mxfp8, combined = DType::bf16;  // on the wire
  Group group;
  double overload = 1;
  bool backward = false;
};

using Work = std::variant<Gemm, GroupedGemm, AttentionCore, StateScan, Elementwise, Quantize, Relayout, Permute, Collective,
                          TokenExchange, FusedExperts, DecodeAttention, ServedExperts, ServedReduce, LowLatencyExchange>;

}  // namespace moeline
