// Appends ops in issue order. `add` continues the chain; `beside` starts an op that the chain joins later.
#pragma once

#include "ops/decoder.hpp"

namespace moeline {

class StepBuilder {
 public:
  explicit StepBuilder(Phase phase) : phase_(phase) {}

  // The next op of the chain; collectives and exchanges go to the network lane by themselves.
  void add(std::string_view group, std::string_view name, const Work& work, Part part = Part::other);
  // An op that starts where the chain stands now; the chain waits for it where its index is joined.
  int beside(std::string_view group, std::string_view name, const Work& work, Part part = Part::other);
  void join(int op);  // -1: nothing to wait for

  // A linear layer y[m,n] = x[m,k] w[k,n]: quantisation of what its format needs, then the products.
  struct Linear {
    std::string_view group, name;
    double m, n, k;
    DType type;
    Part part = Part::other;
  };
  void forward(const Linear& linear);
  void backward(const Linear& linear, DType gradient);

  void in_moe(bool inside) { in_moe_ = inside; }
  void append(const Step& other);
  Step take() { return std::move(step_); }

 private:
  void push(std::string_view group, std::string_view name, const Work& work, Part part);

  Phase phase_;
  Step step_;
  bool in_moe_ = false;
  int last_ = -1;
  std::vector<int> joined_;  // what the next op waits for beside the chain
};

inline bool is_quantised(DType type) { return bits(type) < 16; }
inline Bytes bf16(double elements) { return bytes(DType::bf16, elements); }

// Norm over `elements`: forward reads and writes once, backward reads the input and the gradient and writes one.
Elementwise norm_forward(double elements);
Elementwise norm_backward(double elements);

void attention_forward(StepBuilder& builder, const DecoderContext& context, const Attention& attention);
void attention_backward(StepBuilder& builder, const DecoderContext& context, const Attention& attention);
void ffn_forward(StepBuilder& builder, const DecoderContext& context, const Ffn& ffn);
void ffn_backward(StepBuilder& builder, const DecoderContext& context, const Ffn& ffn);

// Tensor-parallel collectives of a column-parallel input and a row-parallel output; nothing when tp = 1.
// Overlapped ones run beside the chain and return the op to join; else -1.
int gather_tokens(StepBuilder& builder, const DecoderContext& context, double width, bool overlapped);
int scatter_tokens(StepBuilder& builder, const DecoderContext& context, double width, bool overlapped);

}  // namespace moeline
