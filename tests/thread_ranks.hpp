// Ranks that are threads of this process: a letter box each, and a room where they meet to exchange bytes.
#pragma once

#include <barrier>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/ranks.hpp"
#include "validate/backend.hpp"

namespace moeline {

class Room {
 public:
  explicit Room(int ranks) : meeting_(ranks), sent_(static_cast<std::size_t>(ranks)) {}
  void meet() { meeting_.arrive_and_wait(); }
  void exchange(int rank, const Peers::Blocks& sent, const Peers::Blocks& received) {
    sent_[static_cast<std::size_t>(rank)] = &sent;
    meet();
    for (std::size_t from = 0; from < sent_.size(); ++from) {
      std::memcpy(received.data + received.first[from],
                  sent_[from]->data + sent_[from]->first[static_cast<std::size_t>(rank)],
                  static_cast<std::size_t>(received.bytes[from]));
    }
    meet();
  }

 private:
  std::barrier<> meeting_;
  std::vector<const Peers::Blocks*> sent_;
};

struct Boxes {
  std::mutex mutex{};
  std::vector<std::deque<Message>> of_rank{};
  std::map<int, Room> rooms{};  // by how many meet there
};

class ThreadPeers final : public Peers {
 public:
  ThreadPeers(Room& room, int rank) : room_(room), rank_(rank) {}
  void meet() override { room_.meet(); }
  void all_to_all(const Blocks& sent, const Blocks& received) override { room_.exchange(rank_, sent, received); }

 private:
  Room& room_;
  int rank_;
};

class ThreadRanks final : public Ranks {
 public:
  ThreadRanks(Boxes& boxes, int number) : boxes_(boxes) {
    rank = number;
    size = here = static_cast<int>(boxes.of_rank.size());
    library = "threads";
  }
  void send(int to, Message message) override {
    const std::lock_guard lock(boxes_.mutex);
    message.from = rank;
    boxes_.of_rank[static_cast<std::size_t>(to)].push_back(std::move(message));
  }
  std::optional<Message> poll() override {
    const std::lock_guard lock(boxes_.mutex);
    std::deque<Message>& box = boxes_.of_rank[static_cast<std::size_t>(rank)];
    if (box.empty()) return std::nullopt;
    Message message = std::move(box.front());
    box.pop_front();
    return message;
  }
  void leave() override {}
  Peers& first(int count) override {
    const std::lock_guard lock(boxes_.mutex);
    peers_ = std::make_unique<ThreadPeers>(boxes_.rooms.try_emplace(count, count).first->second, rank);
    return *peers_;
  }

 private:
  Boxes& boxes_;
  std::unique_ptr<ThreadPeers> peers_;
};

}  // namespace moeline
