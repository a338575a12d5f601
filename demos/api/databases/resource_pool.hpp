// A fixed number of things that are costly to make, connections say, lent to one fiber at a time.
#pragma once

#include <tendril/tendril.hpp>

#include <functional>
#include <memory>
#include <utility>

template <typename T>
class ResourcePool {
 public:
  // Goes back to the pool at the end of its block.
  class Lease {
   public:
    Lease(ResourcePool& pool, std::unique_ptr<T> lent) : pool_(pool), lent_(std::move(lent)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.idle_.put(std::move(lent_)); }
    T* operator->() const { return lent_.get(); }

   private:
    ResourcePool& pool_;
    std::unique_ptr<T> lent_;
  };

  ResourcePool(size_t size, const std::function<std::unique_ptr<T>()>& make) {
    for (size_t i = 0; i < size; ++i) idle_.put(make());
  }

  // Waits until one is free; who waits longest is served first.
  Lease lend() { return Lease(*this, idle_.get()); }

 private:
  tendril::SimpleQueue<std::unique_ptr<T>> idle_;
};
