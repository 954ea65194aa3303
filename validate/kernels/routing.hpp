// Which expert does a token go to, which row of its segment does it get, and how do rows travel there and back?
//
//   route      scores of all experts -> the top k and their weights; how many rows each expert gets
//   place      every expert's rows in token order, segments padded to 128 rows: offsets, and the maps both ways
//   permute    row r of the output is token source_row[r], or zeros for padding:      2 x 2 hidden bytes per row
//   unpermute  token t is the weighted sum of its k rows, summed in FP32:            (k + 1) x 2 hidden bytes per token
#pragma once

#include <cuda_runtime_api.h>

namespace moeline::kernels {

inline constexpr int kMostExperts = 512, kMostChosen = 16;

enum class RouterScore {
  softmax,  // over all experts, before the choice; weights are the probabilities
  sigmoid   // weights are divided by the sum over those chosen
};

struct Route {
  RouterScore score = RouterScore::softmax;
  const float* logits = nullptr;  // [tokens][experts]
  int tokens = 0, experts = 0, top_k = 0;
  int* chosen = nullptr;     // [tokens][top_k], best first; of equals the lower expert
  float* weights = nullptr;  // [tokens][top_k]
  int* counts = nullptr;     // [experts]
};
cudaError_t route(const Route& pass, cudaStream_t stream);

struct Place {
  const int* chosen = nullptr;
  const int* counts = nullptr;
  int tokens = 0, experts = 0, top_k = 0;
  int* offsets = nullptr;     // [experts + 1], multiples of 128
  int* row_of = nullptr;      // [tokens][top_k]
  int* source_row = nullptr;  // [offsets[experts]], -1 for padding
};
cudaError_t place(const Place& pass, cudaStream_t stream);

// The most rows that `place` can ask for.
constexpr int most_rows(int tokens, int top_k, int experts) { return (tokens * top_k / 128 + experts) * 128; }

struct Permute {
  const void* input = nullptr;  // bf16 [tokens][hidden]
  const int* source_row = nullptr;
  void* output = nullptr;  // bf16 [rows][hidden]
  int rows = 0, hidden = 0;
};
cudaError_t permute(const Permute& pass, cudaStream_t stream);

struct Unpermute {
  const void* input = nullptr;  // bf16 [rows][hidden]
  const int* row_of = nullptr;
  const float* weights = nullptr;
  void* output = nullptr;  // bf16 [tokens][hidden]
  int tokens = 0, top_k = 0, hidden = 0;
};
cudaError_t unpermute(const Unpermute& pass, cudaStream_t stream);

}  // namespace moeline::kernels
