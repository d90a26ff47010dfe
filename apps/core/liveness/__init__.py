"""Who and what is alive: processes, servers, and questions to several of them within one time limit."""
