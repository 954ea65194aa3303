// How does the router spread tokens? The scenario's choice; routing/load turns it into loads.
#pragma once

namespace moeline {

enum class Popularity { balanced, uniform };  // equal loads; independent uniform choices per token

struct Routing {
  Popularity popularity = Popularity::balanced;
  bool operator==(const Routing&) const = default;
};

}  // namespace moeline
