// Which small matrices are trained beside frozen weights (LoRA)?
//
//   y = x W + (x A) B      A: in x rank, B: rank x out; of every projection of attention and, if asked, of FFN and experts
//   split    experts' adapters see the rows: S rank (in + out) products
//   merged   W + A B is made for every expert in every pass: E in out elements, and so is its gradient
#pragma once

#include <cstdint>
#include <string_view>

#include "spec/dtype.hpp"
#include "spec/reader.hpp"

namespace moeline {

enum class Adapters { split, merged };

struct Lora {
  std::int64_t rank = 16;
  Adapters adapters = Adapters::split;
  bool ffn = true;              // targets: "all"; false: "attention"
  DType base = DType::bf16;     // how frozen matrices rest; expanded to bf16 in front of every product
  bool operator==(const Lora&) const = default;
};

Lora read_lora(ObjectReader reader);
Json to_json(const Lora& lora);

}  // namespace moeline
