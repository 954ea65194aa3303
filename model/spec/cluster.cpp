#include "spec/cluster.hpp"

#include <fmt/format.h>

namespace moeline {
namespace {

Node read_node(ObjectReader reader) {
  Node node;
  node.devices = reader.integer_fact("devices", {1, 100000});
  node.host_link = reader.fact<Dimension{.second = -1, .byte = 1}>("host_link");
  reader.skip("host_cpu");
  if (reader.has("host_cpu")) node.host_cpu = reader.string_fact("host_cpu");
  node.power_per_device = reader.optional_fact<Dimension{.second = -1, .joule = 1}>("power_per_device");
  reader.finish();
  return node;
}

ExternalMemory read_external_memory(ObjectReader reader) {
  ExternalMemory memory;
  memory.capacity = reader.optional_fact<Dimension{.byte = 1}>("capacity");
  reader.skip("optimizer_rate");
  if (reader.has("optimizer_rate")) {
    ObjectReader fact = reader.object("optimizer_rate");
    memory.optimizer_rate = Fact<double>{fact.number("value", 1, 1e18), fact.string("source"),
                                         fact.boolean_or("inferred", false)};
    fact.finish();
  }
  reader.finish();
  return memory;
}

Price read_price(ObjectReader reader) {
  Price price{reader.number("per_device_hour", 0, 1e6), reader.string("currency"), reader.string("source")};
  reader.finish();
  return price;
}

}  // namespace

Cluster read_cluster(const Json& profile, const std::string& origin) {
  ObjectReader reader(profile, origin);
  Cluster cluster;
  cluster.name = reader.string("name");
  cluster.title = reader.string_or("title", cluster.name);
  cluster.device = read_device(reader.object("device"));
  for (const char* key : {"node", "external_memory", "price"}) reader.skip(key);
  if (reader.has("node")) cluster.node = read_node(reader.object("node"));
  if (reader.has("external_memory")) cluster.external_memory = read_external_memory(reader.object("external_memory"));
  if (reader.has("price")) cluster.price = read_price(reader.object("price"));
  cluster.fabric = read_fabric(reader.objects("fabric"));
  if (cluster.fabric.empty()) reader.fail("fabric", "at least one tier is needed");
  reader.finish();
  return cluster;
}

}  // namespace moeline
